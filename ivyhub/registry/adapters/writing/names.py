"""Identifiers of emitted source: which words are taken, and how a name of the source becomes a legal one."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable

KEYWORDS = frozenset({*keyword.kwlist, *keyword.softkwlist, "self"})
BUILTINS = frozenset(name for name in dir(builtins) if not name.startswith("_"))


def identifier(name: str, taken: Iterable[str] = ()) -> str:
    """A legal identifier for a name of the source; a reserved or taken word gets ``_`` appended.

    Two underscores in front would mean something in the body of a class.

    Example:
        >>> identifier("layer.0"), identifier("lambda"), identifier("output", {"output"}), identifier("0")
        ('layer_0', 'lambda_', 'output_', 'x_0')
        >>> identifier("a b"), identifier("é"), identifier("__private")
        ('a_b', 'x', 'x__private')
    """
    word = re.sub(r"\W", "_", name, flags=re.ASCII)
    if not word.strip("_"):
        word = "x"
    elif word[0].isdigit():
        word = f"x_{word}"
    elif word.startswith("__"):
        word = f"x{word}"
    taken = set(taken)
    while keyword.iskeyword(word) or word in taken:
        word += "_"
    return word


def numbered(name: str, taken: Iterable[str]) -> str:
    """The name, or the name with the first free number.

    Example:
        >>> numbered("x", {"x", "x_2"})
        'x_3'
    """
    taken = set(taken)
    if name not in taken:
        return name
    count = 2
    while f"{name}_{count}" in taken:
        count += 1
    return f"{name}_{count}"


def singular(name: str) -> str:
    """The word for one item of a list: ``layers`` gives ``layer``; ``layer`` stays.

    Example:
        >>> singular("layers"), singular("h"), singular("class")
        ('layer', 'block', 'class')
    """
    if len(name) <= 1 or not name.isidentifier():
        return "block"
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


def snake_case(name: str) -> str:
    """``BertSelfAttention`` as ``bert_self_attention``.

    Example:
        >>> snake_case("GPT2Model"), snake_case("ResNetStage")
        ('gpt2_model', 'res_net_stage')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
