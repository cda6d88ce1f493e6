"""Graphs as pictures: the calls of modules as boxes in boxes, and the arrays that go between them, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import mean
from xml.sax.saxutils import escape

from .graph import Graph, Value, tree_values
from .outline import Function, Run, Step, outline

# Pixels: the width of a letter of 12 px monospace, the height of a line, and the room around and between boxes.
_LETTER, _LINE, _PAD, _GAP, _ROW = 7.3, 16.0, 8.0, 14.0, 26.0

_STYLE = """\
text { font: 12px ui-monospace, monospace; fill: #1f2328 }
.spec { fill: #6e7781 }
rect { stroke: #8c959f; fill: #ffffff }
.module { fill: #f6f8fa } .layer { fill: #ddf4ff } .end { fill: #dafbe1 }
path { fill: none; stroke: #57606a }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .spec { fill: #8d96a0 } rect { stroke: #6e7681; fill: #0d1117 }
  .module { fill: #161b22 } .layer { fill: #0c2d6b } .end { fill: #033a16 } path { stroke: #8d96a0 }
}"""

_TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M1,1 L7,4 L1,7"/></marker></defs>'
)


@dataclass
class _Box:
    """A rectangle with lines of text, and what lies in it; its place is that in the box around it."""

    lines: tuple[str, ...]
    style: str = ""
    tip: str = ""
    inner: list[_Box] = field(default_factory=list)
    arrows: list[str] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0
    x: float = 0.0
    y: float = 0.0

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


def draw(graph: Graph, *, depth: int = 2) -> str:
    """The graph as an SVG document.

    Args:
        graph: the graph.
        depth: how many levels of modules are opened; what lies deeper is one box.

    Raises:
        GraphError: a size that is needed is shown by no input.

    Example:
        >>> from ivyhub.engine import ops
        >>> from ivyhub.engine.spec import Spec
        >>> from ivyhub.engine.trace import trace
        >>> picture = draw(trace(lambda x: ops.tanh(x) + x, Spec(("n",))))
        >>> picture.startswith("<svg"), picture.count("<rect")
        (True, 5)
    """
    root = _function(graph, outline(graph), depth, ends=True)
    size = f'width="{root.width:.0f}" height="{root.height:.0f}" viewBox="0 0 {root.width:.0f} {root.height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<style>\n{_STYLE}\n</style>\n{_TIP}'
    return "\n".join([head, *_rendered(root), "</svg>"]) + "\n"


def _function(graph: Graph, function: Function, depth: int, *, ends: bool) -> _Box:
    """A call of a module, opened: its steps in rows, each below what it reads."""
    module = graph.modules[function.module]
    title = f"{module.path}: {module.class_name}" if module.path else module.class_name
    boxes = [_step(graph, step, depth) for step in function.steps]
    reads = [[*step.operands] for step in function.steps]
    gives = [[*step.outputs] for step in function.steps]
    if ends:  # of the root: what the caller gives and gets
        inputs = [*function.inputs.items()]
        boxes += [_sized(_Box((name, _spec(value)), "end")) for name, value in inputs]
        reads += [[] for _ in inputs]
        gives += [[value] for _, value in inputs]
        boxes.append(_sized(_Box(("result",), "end")))
        reads.append([*tree_values(graph.outputs)])
        gives.append([])
    made = {value: index for index, values in enumerate(gives) for value in values}
    edges = sorted({(made[value], index) for index, values in enumerate(reads) for value in values if value in made})
    return _arranged(_Box((title,), "module"), boxes, edges)


def _step(graph: Graph, step: Step, depth: int) -> _Box:
    if isinstance(step, Run):
        if depth > 0:
            return _function(graph, step.function, depth - 1, ends=False)
        module = graph.modules[step.function.module]
        lines = f"{module.path}: {module.class_name}", *map(_spec, step.outputs[:1])
        return _sized(_Box(lines, "layer", f"{sum(1 for _ in step.function.walk())} calls of modules"))
    label, style = step.op, ""
    match step.op:
        case "call":
            path = step.attributes["module"]
            label, style = f"{path}: {graph.modules[path].class_name}", "layer"
        case "parameter":
            label = step.attributes["path"]
        case "constant":
            label = step.attributes["name"]
    scope = step.scope
    tip = f"{scope.file}:{scope.line}" if scope.file else step.op
    return _sized(_Box((label, *map(_spec, step.outputs[:1])), style, tip))


def _sized(box: _Box) -> _Box:
    box.width = max(map(len, box.lines)) * _LETTER + 2 * _PAD
    box.height = len(box.lines) * _LINE + _PAD
    return box


def _spec(value: Value) -> str:
    return str(value.spec)


def _arranged(around: _Box, boxes: list[_Box], edges: Sequence[tuple[int, int]]) -> _Box:
    """Put boxes into rows, every arrow downwards, and a frame around them."""
    above: list[list[int]] = [[] for _ in boxes]
    below: list[list[int]] = [[] for _ in boxes]
    for start, end in edges:
        above[end].append(start)
        below[start].append(end)
    rank = [0] * len(boxes)
    for index in _in_order(above):
        rank[index] = max((rank[each] + 1 for each in above[index]), default=0)
    for index, box in enumerate(boxes):  # what reads nothing stands right above its first reader
        if not above[index] and below[index] and box.style != "end":
            rank[index] = max(0, min(rank[each] for each in below[index]) - 1)
    rows: list[list[int]] = [[] for _ in range(max(rank, default=-1) + 1)]
    for index, row in enumerate(rank):
        rows[row].append(index)
    width = max((_row_width(boxes, row) for row in rows), default=0.0)
    y = _LINE + 2 * _PAD
    ends: list[float] = []  # of the rows
    for row in rows:
        row.sort(key=lambda index: mean([boxes[each].middle for each in above[index]] or [width / 2]))
        x = _PAD * 2 + (width - _row_width(boxes, row)) / 2
        for index in row:
            boxes[index].x, boxes[index].y = x, y
            x += boxes[index].width + _GAP
        ends.append(y + max(boxes[index].height for index in row))
        y = ends[-1] + _ROW
    right = _PAD * 2 + width
    lanes = 0
    for start, end in edges:
        one, other = boxes[start], boxes[end]
        x1, y1, x2, y2 = one.middle, ends[rank[start]], other.middle, other.y
        path = f"M{x1:.1f},{one.y + one.height:.1f} L{x1:.1f},{y1:.1f}"
        between = [box for row in rows[rank[start] + 1 : rank[end]] for box in (boxes[index] for index in row)]
        if any(box.x - 4 < (x1 + x2) / 2 < box.x + box.width + 4 for box in between):  # around what stands in the way
            lanes += 1
            lane = right + lanes % 6 * 7
            bend = _ROW / 2
            path += f" C{x1:.1f},{y1 + bend:.1f} {lane:.1f},{y1:.1f} {lane:.1f},{y1 + _ROW:.1f}"
            path += f" L{lane:.1f},{y2 - _ROW:.1f} C{lane:.1f},{y2:.1f} {x2:.1f},{y2 - bend:.1f} {x2:.1f},{y2:.1f}"
        else:
            bend = (y2 - y1) / 2
            path += f" C{x1:.1f},{y1 + bend:.1f} {x2:.1f},{y2 - bend:.1f} {x2:.1f},{y2:.1f}"
        around.arrows.append(path)
    _sized(around)
    around.inner = boxes
    around.width = max(around.width, width + 4 * _PAD + (min(lanes, 6) * 7 if lanes else 0))
    around.height = max(around.height, y - _ROW + 2 * _PAD)
    return around


def _row_width(boxes: Sequence[_Box], row: Sequence[int]) -> float:
    return sum(boxes[index].width for index in row) + _GAP * (len(row) - 1)


def _in_order(above: Sequence[Sequence[int]]) -> Iterator[int]:
    """Indices, each after those that it stands below; steps come so, the ends of a root do not."""
    done: set[int] = set()
    waiting = [*reversed(range(len(above)))]
    while waiting:
        index = waiting[-1]
        missing = [each for each in above[index] if each not in done]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        if index not in done:
            done.add(index)
            yield index


def _rendered(box: _Box) -> Iterator[str]:
    yield f'<g transform="translate({box.x:.1f},{box.y:.1f})">'
    if box.tip:
        yield f"<title>{escape(box.tip)}</title>"
    style = f' class="{box.style}"' if box.style else ""
    yield f'<rect{style} width="{box.width:.1f}" height="{box.height:.1f}" rx="4"/>'
    for number, line in enumerate(box.lines):
        kind = ' class="spec"' if number else ""
        yield f'<text{kind} x="{_PAD}" y="{_LINE * (number + 1) - 2:.1f}">{escape(line)}</text>'
    for path in box.arrows:
        yield f'<path d="{path}" marker-end="url(#tip)"/>'
    for each in box.inner:
        yield from _rendered(each)
    yield "</g>"
