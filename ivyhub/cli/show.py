"""``ivyhub show``: one model, from its signature to its source."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ivyhub.cli.output import Output, certificate_lines, common_options, name_argument, pass_output, size
from ivyhub.errors import UsageError


@click.command(name="show", short_help="Show a model: signature, figures, source.")
@name_argument("name")
@click.option("--tree", "view", flag_value="tree", help="The modules, with their parameters and shapes.")
@click.option("--graph", "view", flag_value="graph", help="The operations of every module.")
@click.option("--source", "view", flag_value="source", help="The native source of the export.")
@click.option("--svg", type=click.Path(path_type=Path), metavar="FILE", help="Draw the graph into a file.")
@click.option("--depth", default=2, show_default=True, metavar="N", help="How many levels of modules are drawn open.")
@common_options
@pass_output
def command(output: Output, name: str, view: str | None, svg: Path | None, depth: int) -> None:
    """Show a model of the registry: signature, size, configuration, certificates.

    \b
    Examples:
      ivyhub show bert
      ivyhub show bert --tree
      ivyhub show bert --svg bert.svg
      ivyhub show bert --source > modeling.py
    """
    from ivyhub.registry import api

    if svg is not None:
        from ivyhub.registry.drawing import draw_to

        path = draw_to(name, svg, depth=depth)
        output.document({"path": path}, ids=[path])
        output.line(f"drew {name} into {path}")
        return
    details = api.show(name)
    if view is not None:
        text = getattr(details, view)
        if not text:
            raise UsageError(f"{name} has no {view} to show", hint="pull it for a framework first")
        output.document({view: text})
        _print(output, text, language="python" if view == "source" else None)
        return
    output.document(details, ids=[details.digest])
    facts = {
        "name": details.name,
        "tags": ", ".join(details.tags),
        "version": details.digest,
        "source": details.origin,
        "framework": details.framework,
        "created": details.created,
        "size": size(details.size),
        "parameters": f"{details.parameters:,}",
    }
    for label, value in facts.items():
        output.line(f"{label:<11}{value}")
    sections = {**details.signature, "metrics": details.metrics, "configuration": details.config or {}}
    for title, section in sections.items():
        if not section and title == "metrics":
            continue
        output.line(f"\n{title}")
        for line in _aligned(section if isinstance(section, dict) else {"": section}):
            output.line(f"  {line}")
    for framework, certificate in (details.certificates or {}).items():
        output.line(f"\ncertificate for {framework}")
        for line in certificate_lines(certificate):
            output.line(f"  {line}")


def _aligned(section: Mapping[str, Any]) -> list[str]:
    """Names and what they hold, in two columns."""
    width = max(map(len, section), default=0)
    texts = {key: value if isinstance(value, str) else json.dumps(value, default=str) for key, value in section.items()}
    return [f"{key:<{width}}  {text}".lstrip() for key, text in texts.items()]


def _print(output: Output, text: str, language: str | None) -> None:
    """Print a long text: coloured where it is code and stdout is a terminal, verbatim elsewhere."""
    if language is None or not (output.color and sys.stdout.isatty()) or output.json or output.quiet:
        output.line(text.rstrip("\n"))
        return
    from rich.console import Console
    from rich.syntax import Syntax

    Console().print(Syntax(text, language, background_color="default"))
