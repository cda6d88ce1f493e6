"""``ivyhub log``: where the versions of a model come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ivyhub.cli.output import Output, change_lines, common_options, name_argument, pass_output, size

if TYPE_CHECKING:
    from ivyhub.registry.lineage import Step


@click.command(name="log", short_help="Draw where the versions of a model come from.")
@name_argument("reference", metavar="NAME[:LABEL]")
@click.option("--changes", is_flag=True, help="What moved the labels of the name instead, the newest first.")
@common_options
@pass_output
def command(output: Output, reference: str, changes: bool) -> None:
    """Draw the lineage of a model: its versions, and those that they were made from.

    \b
    Examples:
      ivyhub log bert
      ivyhub log bert:champion
      ivyhub log bert --changes
    """
    from ivyhub.registry.lineage import lineage
    from ivyhub.registry.refs import split_reference
    from ivyhub.registry.store import Store

    store = Store()
    if changes:
        name = split_reference(reference)[0]
        log = store.refs.log(name)
        if not log:
            name = store.refs.named(name)
            log = store.refs.log(name)
        output.document(log)
        for change in reversed(log):
            output.line(f"{change.time}  {change.why}")
            for line in change_lines(name, change):
                output.line(f"  {line}")
        return
    steps = lineage(store, reference)
    output.document(steps, ids=[step.digest for step in steps])
    output.lines(drawn(steps))


def drawn(steps: list[Step]) -> list[str]:
    """The lineage as a tree: each version above those it was made from; one that was drawn already is named only."""
    by_digest = {step.digest: step for step in steps}
    made_from = {parent.digest for step in steps for parent in step.parents}
    lines: list[str] = []
    seen: set[str] = set()
    for step in steps:
        if step.digest not in made_from:
            # No recursion: a model that was tuned every night for years has a long line of ancestors.
            waiting = [(step.digest, "", "", "")]
            while waiting:
                digest, how, branch, below = waiting.pop()
                lines.append(branch + told(by_digest[digest], how, again=digest in seen))
                if digest in seen:
                    continue
                seen.add(digest)
                parents = by_digest[digest].parents
                for place, parent in reversed([*enumerate(parents, 1)]):
                    last = place == len(parents)
                    corner, beam = ("└─ ", "   ") if last else ("├─ ", "│  ")
                    waiting.append((parent.digest, f"{parent.how} of ", below + corner, below + beam))
    return lines


def told(step: Step, how: str, *, again: bool) -> str:
    """One version of a lineage in a line."""
    words = [f"{how}{step.digest.removeprefix('sha256:')[:12]}", *([", ".join(step.labels)] if step.labels else [])]
    if again:
        return "  ".join([*words, "(see above)"])
    if step.version is None:
        return "  ".join([*words, "(collected)"])
    version = step.version
    words += [f"{version.created:%Y-%m-%d %H:%M}", size(version.size)]
    if step.origin is not None:
        origin = step.origin
        place = f"{origin.id}{f' at {origin.revision}' if origin.revision else ''}"
        words.append(f"captured from {'memory' if origin.kind == 'memory' else place}")
        words.append(f"{version.framework} {version.framework_version}")
    return "  ".join(words)
