"""The way from a graph to an `Export` that all class-writing targets share."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable

from packaging.version import Version

from ....engine.backends import FRAMEWORKS, is_floating
from ....engine.graph import Graph
from ....engine.outline import arguments
from ....engine.promotion import promote
from ....engine.spec import Spec
from ...characters import visible
from ...weights import Merge, Reorder, Reshape, Split, Step, Transpose
from ..target import Target
from .classes import Class, Plan, plan
from .export import Export
from .locals import items_of
from .render import format_source, imported_packages, imports_for, source_of, support_source
from .style import Style, name


class Emitter:
    """Writes one graph in one style; adapters subclass it for what their classes look like.

    Attributes:
        load: the text of the package's ``__init__.py``, with ``{entry}`` for the root class, ``{words}`` for the names
            to import from ``modeling``, ``{listed}`` for ``__all__``, ``{constants}`` for `load_constants`, and
            ``{dtype}`` for the floating-point type of the inputs.
        load_constants: the lines of it that load ``constants.safetensors``, where an export has that file.
    """

    load: str
    load_constants: str

    def __init__(self, style: Style, target: Target) -> None:
        self.style = style
        self.target = target

    def prepare(self, graph: Graph) -> Graph:
        """The passes that make a graph fit for the target."""
        raise NotImplementedError

    def render_class(self, cls: Class) -> str:
        """One class as text."""
        raise NotImplementedError

    def emit(self, graph: Graph) -> Export:
        """Write a graph; it is left as it was. Raises `NoLoweringError` for what the target cannot express."""
        graph = self.prepare(graph.copy())
        done = plan(graph, self.style)
        modeling = format_source(self._modeling(graph, done))
        names = [done.root.name, *done.records]
        files = {"modeling.py": modeling, "__init__.py": format_source(self._package(names, done))}
        return Export(
            target=self.target,
            files=files,
            entry=done.root.name,
            weights=done.weights(),
            constants=done.constants(),
            tensors=_tensors(graph, done),
            symbols=dict(graph.symbols),
            requires=self.requires(files.values()),
        )

    def requires(self, sources: Iterable[str]) -> dict[str, str]:
        """The packages that the source imports, with the versions that it runs on."""
        own = FRAMEWORKS[self.target.framework]
        oldest = max(Version(own.minimum), self.target.oldest or self.style.since, self.style.since)
        versions = {own.distribution: f">={oldest}", "safetensors": ">=0.4"}
        versions |= {row.distribution: f">={row.minimum}" for row in FRAMEWORKS.values() if row is not own}
        if self.target.library is not None:
            versions[self.target.library.distribution] = self.style.library()
        imported = {module for text in sources for module in imported_packages(text)}
        return {name: self.target.asks(name) or known for name, known in versions.items() if name in imported}

    # -- text ----------------------------------------------------------------------------------------------------

    def _modeling(self, graph: Graph, done: Plan) -> str:
        parts = [
            *(part for word in self.style.supports for part in source_of(support_source(word), self.style.support)),
            *(self._record(word, fields) for word, fields in done.records.items()),
            *(self.render_class(cls) for cls in done.classes),
        ]
        body = "\n\n\n".join(parts)
        imports = "\n".join(imports_for(body, self.style.imports))
        return f"{self._docstring(graph, done)}\n\nfrom __future__ import annotations\n\n{imports}\n\n\n{body}\n"

    def _record(self, word: str, fields: tuple[str, ...]) -> str:
        lines = "\n".join(f"    {field}: {self.style.array}" for field in fields)
        return f'class {word}(NamedTuple):\n    """What the model returns."""\n\n{lines}\n'

    def _docstring(self, graph: Graph, done: Plan) -> str:
        source = ".".join(part for part in (graph.meta.get("module"), graph.modules[""].class_name) if part)
        inputs = [
            f"    {ast.unparse(item)}: {leaf.spec}".replace("'", '"')
            for word, tree in arguments(graph).items()
            for item, leaf in items_of(tree, name(word))
        ]
        last = graph.meta.get("channels_last")
        text = (
            f"{done.root.name} for {self.target}, written by ivyhub from {source}.\n\nInputs:\n\n"
            + "\n".join(inputs)
            + (f"\n\nOther than in the source, the channels come last in {last}." if last else "")
        )
        # A file says what it was made by, and its words stay words.
        return '"""' + visible(text).replace("\\", "\\\\").replace('"""', '\\"\\"\\"') + '\n"""'

    def _package(self, names: list[str], done: Plan) -> str:
        words = ", ".join(sorted(names))
        listed = ", ".join(f'"{word}"' for word in sorted([*names, "load"]))
        constants = self.load_constants if done.constants() else ""
        return self.load.format(
            entry=names[0], words=words, listed=listed, constants=constants, dtype=main_dtype(done.graph)
        )

    def statements(self, body: list[ast.stmt]) -> str:
        """Statements as text, indented for a method."""
        text = "\n".join(ast.unparse(ast.fix_missing_locations(stmt)) for stmt in body)
        return "\n".join(f"        {line}" if line else line for line in text.splitlines())

    def place(self, cls: Class) -> str:
        """Where the instances of a class stand in the model, as a comment behind its first line."""
        more = f" and {len(cls.instances) - 1} more" if len(cls.instances) > 1 else ""
        return f"  # {cls.instances[0]}{more}" if cls.instances[0] else ""


def main_dtype(graph: Graph) -> str:
    """The floating-point type that a graph computes in: of its weights, else of its inputs, promoted; else float32.

    Those of 8 bits are stored so, and not computed with.
    """
    weights = [parameter.spec.dtype for _, parameter in graph.parameters() if parameter.persistent]
    for dtypes in (weights, [value.dtype for value in graph.input_values]):
        found = [dtype for dtype in dtypes if is_floating(dtype) and "float8" not in dtype]
        if found:
            return functools.reduce(promote, found)
    return "float32"


def _tensors(graph: Graph, done: Plan) -> dict[str, Spec]:
    """Shape and dtype of each tensor as the export stores it."""
    found: dict[str, Spec] = {}
    for entry in done.places:
        row = [graph.parameter(path).spec for path in entry.sources]
        for step in entry.steps:
            row = _after(step, row)
        found |= zip(entry.targets, row, strict=True)
    return found


def _after(step: Step, row: list[Spec]) -> list[Spec]:
    """The specs of a row of tensors after one step."""
    if isinstance(step, Reorder):
        return [row[place] for place in step.perm]
    spec, count = row[step.at], 1
    match step:
        case Transpose(perm=perm):
            made = [spec.with_shape(*(spec.shape[axis] for axis in perm))]
        case Reshape(shape=shape):
            made = [spec.with_shape(*shape)]
        case Split(axis=axis, sizes=sizes):
            made = [_with_size(spec, axis, size) for size in sizes]
        case Merge(axis=axis, sizes=sizes):
            made, count = [_with_size(spec, axis, sum(sizes))], len(sizes)
        case _:  # to another dtype
            made = [Spec(spec.shape, step.dtype)]
    return [*row[: step.at], *made, *row[step.at + count :]]


def _with_size(spec: Spec, axis: int, size: int) -> Spec:
    return spec.with_shape(*spec.shape[:axis], size, *spec.shape[axis + 1 :])
