"""Characters that nobody should see do what they do: they steer a terminal, or turn the direction of text."""

from __future__ import annotations

import re

# C0 and C1 controls, marks and overrides of direction, breaks of lines, and halves of pairs, which are no characters.
_STEERING = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_ANY = re.compile(f"[{_STEERING}]")
_SHOWN = re.compile(rf"(?!\r?\n|\t)[{_STEERING}]")


def steers(text: str) -> bool:
    r"""Whether a text has such a character.

    Example:
        >>> steers("layers.0.weight"), steers("a\x1b[2Jb"), steers("a\u200fb")
        (False, True, True)
    """
    return _ANY.search(text) is not None


def escaped(json: str) -> str:
    r"""JSON with such characters in its texts as JSON escapes them.

    Example:
        >>> print(escaped('"a\x9bb"'))
        "a\u009bb"
    """
    return _SHOWN.sub(lambda match: f"\\u{ord(match[0]):04x}", json)


def visible(text: str) -> str:
    r"""A text with such characters as escapes, but for the ends of its lines and tabulators.

    Example:
        >>> print(visible("a\x1b[2J\nb"))
        a\x1b[2J
        b
    """
    return _SHOWN.sub(lambda match: f"\\x{ord(match[0]):02x}" if match[0] < "\x80" else f"\\u{ord(match[0]):04x}", text)
