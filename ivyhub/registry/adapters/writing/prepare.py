"""The passes that make a graph fit for a target that writes classes."""

from __future__ import annotations

from ....engine import passes
from ....engine.graph import Graph, ModuleInfo, Parameter, below
from ....engine.passes.dropouts import own_dropouts
from ....engine.passes.expansion import expand_recurrences
from ....engine.passes.layout import channels_first, channels_last, heads_third
from ....engine.passes.legalise import legalise
from ....engine.passes.limits import narrow_limits
from ....engine.passes.widening import widen
from ....engine.verify import verify
from ....errors import NoLoweringError
from .control import check_transforms
from .names import identifier, numbered
from .style import Style

WRITTEN_OUT = 16  # constants up to this many elements stand in the source


def prepare(graph: Graph, style: Style, *, channels: str = "last", heads: str = "third") -> Graph:
    """Rewrite a graph in place until a style can write each of its nodes.

    Args:
        graph: what to rewrite.
        style: whose rows and leaf layers there are.
        channels: "last" or "first", where the target's images have their channels; "any" leaves them.
        heads: "third" where attention wants (batch, length, heads, features), else "second".

    Raises `NoLoweringError` with every operation that the target cannot express.
    """

    foreign = {
        node.attributes["module"]
        for node in graph.nodes
        if node.op == "call" and not below(node.attributes["module"], graph.calls[node.scope.call].module)
    }

    def lacks(module: ModuleInfo) -> bool:
        """Native layers own their arrays, and are called by the class that holds them."""
        if style.leaves.find(str(module.layer), module.config, style.version) is None or module.path in foreign:
            return True
        return not style.ties and any(parameter.alias is not None for parameter in module.parameters.values())

    _check_updates(graph, style)
    check_transforms(graph, style.framework)
    _prepare_nested(graph, style)
    expand_recurrences(graph, lacks)
    own_dropouts(graph)
    if channels == "last":
        channels_last(graph)
    elif channels == "first":
        channels_first(graph)
    if heads == "third":
        heads_third(graph)
    passes.simplify(graph)
    if legalise(graph, style.framework, style.version, expand=lacks):
        passes.simplify(graph)
        legalise(graph, style.framework, style.version, expand=lacks)
    widen(graph, style.framework)
    narrow_limits(graph, style.framework)
    for module in graph.modules.values():  # what was expanded above holds its arrays as a plain module does
        shared = not style.ties and any(parameter.alias is not None for parameter in module.parameters.values())
        if module.layer and (shared or style.leaves.find(module.layer, module.config, style.version) is None):
            module.layer, module.config = None, {}
    _store_constants(graph)
    return verify(graph)


def _prepare_nested(graph: Graph, style: Style) -> None:
    """The same for the graphs that nodes hold, which have no layers."""
    for node in graph.nodes:
        for nested in node.graphs.values():
            _prepare_nested(nested, style)
            passes.simplify(nested)
            if legalise(nested, style.framework, style.version):
                passes.simplify(nested)
                legalise(nested, style.framework, style.version)
            widen(nested, style.framework)
            narrow_limits(nested, style.framework)


def _check_updates(graph: Graph, style: Style) -> None:
    """Raise `NoLoweringError` for buffers whose new values the style cannot keep."""
    shared = {parameter.alias for _, parameter in graph.parameters()} if style.ties else set()
    lost = [path for path in graph.updates if not style.updates or path in shared]
    if lost:
        raise NoLoweringError(
            f"{style.framework} cannot keep what calls change in this flavour: {', '.join(lost)}",
            hint="choose torch or jax, or make the buffers arguments and results of the module",
            missing=[(f"update of {path}", path.rpartition(".")[0], "") for path in lost],
        )


def _store_constants(graph: Graph) -> None:
    """Make large constants untrained arrays of the modules that read them, so that files hold them."""
    for node in graph.nodes:
        array = graph.constants[node.attributes["name"]] if node.op == "constant" else None
        if array is None or array.size <= WRITTEN_OUT:
            continue
        module = graph.modules[graph.calls[node.scope.call].module]
        word = numbered(identifier(node.attributes["name"]), [w for w in module.parameters if w not in graph.constants])
        module.parameters[word] = Parameter(node.output.spec, trainable=False, persistent=False)
        path = f"{module.path}.{word}" if module.path else word
        graph.constants[path] = array
        node.op, node.attributes = "parameter", {"path": path}
