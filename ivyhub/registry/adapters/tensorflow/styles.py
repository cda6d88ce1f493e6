"""How Keras layers on TensorFlow are written."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ....engine.graph import ModuleInfo
from ....engine.spec import Spec
from ....engine.template import literal
from ..writing.layers import Leaves
from ..writing.names import singular
from ..writing.style import (
    IMPORTS,
    Callee,
    Member,
    Style,
    array_literal,
    attribute,
    expression,
    filled,
    name,
    repeated,
    statement,
)
from .layers import BUILD, KERAS

# dir() of a keras.Model and a keras.layers.Layer of Keras 3.15, kept as a table so that writing needs no Keras, and
# what a layer that draws has
_RESERVED = """
activity_regularizer add_loss add_metric add_variable add_weight autocast build build_from_config built call
call_signature_parameters compile compile_from_config compiled compiled_loss compiled_metrics compute_dtype
compute_loss compute_mask compute_metrics compute_output_shape compute_output_spec count_params
distribute_reduction_method distribute_strategy dtype dtype_policy evaluate export fit from_config get_build_config
get_compile_config get_config get_layer get_metrics_result get_quantization_layer_structure get_state_tree get_weights
input input_dtype input_spec jit_compile layers load_own_variables load_weights loss losses make_predict_function
make_test_function make_train_function metrics metrics_names metrics_variables name non_trainable_variables
non_trainable_weights optimizer output path predict predict_function predict_on_batch predict_step quantization_mode
quantize quantized_build quantized_call rematerialized_call reset_metrics run_eagerly save save_own_variables
save_weights set_state_tree set_weights stateless_call stateless_compute_loss steps_per_execution stop_training
summary supports_jit supports_masking symbolic_call test_function test_on_batch test_step to_json train_function
train_on_batch train_step trainable trainable_variables trainable_weights unrolled_steps_per_execution variable_dtype
variables weights seed_generator
_add_trackable_child _add_variable_with_custom_getter _aggregate_additional_loss _allow_non_tensor_positional_args
_api_export_path _api_export_symbol_id _assert_compile_called _assert_input_compatibility _assign_variable_values
_auto_config _autoconvert_optionals _awq_call _build_at_init _build_by_run_for_kwargs _build_by_run_for_single_pos_arg
_build_shapes_dict _call_context_args _call_has_context_arg _call_has_mask_arg _call_has_training_arg _call_signature
_called _check_load_own_variables _check_quantize_args _check_super_called _checkpoint_adapter
_checkpoint_dependencies _clear_losses _compile_config _compile_loss _compile_metrics _compiled_metrics_update_state
_compiled_trainable_state _compute_loss _compute_loss_has_training_arg _convert_input_args
_convert_tracked_collections _copy_trackable_to_cpu _create_nested_dict _default_save_signature _deferred_dependencies
_delete_tracking _deserialization_dependencies _deserialize_from_proto _distribute_strategy _dtype_policy
_export_to_saved_model_graph _flatten_layers _flatten_metrics_in_order _flatten_nested_dict _float8_call
_gather_saveables_for_checkpoint _get_call_context _get_metrics_result_or_logs _get_node_attribute_at_index
_get_own_losses _get_own_metrics _get_regularization_losses _get_save_spec _get_variable_map _gptq_call
_handle_deferred_dependencies _inbound_nodes _initial_epoch _initialize_tracker _input_spec _int4_call _int8_call
_jit_compile _layers _lock _lock_state _lookup_dependency _loss_ids _loss_tracker _losses _losses_override
_make_function _maybe_build _maybe_initialize_trackable _maybe_reset_call_context _maybe_symbolic_build _metrics
_name_based_attribute_restore _name_based_restores _no_dependency _non_trainable_variables _not_implemented_error
_obj_type _object_identifier _open_name_scope _outbound_nodes _parent_path _path _post_build _post_quantize
_post_track_variable _post_untrack_variable _preload_simple_restoration _quantization_mode_error
_register_call_context_args _remat_mode _resolve_and_populate_arg _resolve_auto_jit_compile _restore_from_tensors
_run_eagerly _saved_model_arg_spec _saved_model_inputs_spec _seed_generators _self_name_based_restores
_self_saveable_object_factories _self_setattr_tracking _self_unconditional_checkpoint_dependencies
_self_unconditional_deferred_dependencies _self_unconditional_dependency_names _self_update_uid _serialize_to_proto
_serialize_to_tensors _set_mask_metadata _set_save_spec _setattr_hook _setattr_tracking _should_eval _supports_masking
_symbolic_build _tf_api_names _tf_api_names_v1 _track_trackable _track_variable _trackable_children _tracked _tracker
_trainable _trainable_variables _unconditional_checkpoint_dependencies _unconditional_dependency_names _unpickle_model
_untrack_variable _update_uid _warn_if_trainable_state_changed
"""


@dataclass
class KerasStyle(Style):
    """``keras.Model`` and ``keras.layers.Layer`` classes: made in ``__init__``, their arrays in ``build``."""

    framework: ClassVar[str] = "tensorflow"
    leaves: ClassVar[Leaves] = KERAS
    method: ClassVar[str] = "call"
    base: ClassVar[str] = "keras.layers.Layer"
    array: ClassVar[str] = "tf.Tensor"
    training: ClassVar[str | None] = "training"
    names_sizes: ClassVar[bool] = True  # Keras takes nothing but tensors by position
    reserved: ClassVar[frozenset[str]] = frozenset(_RESERVED.split())
    supports: ClassVar[tuple[str, ...]] = ("tensorflow", "tensorflow_sequences", "keras")
    items: ClassVar[str] = "blocks"  # Keras has a property ``layers``

    main: str = "float32"  # the dtype that the policy of `load` chooses
    imports: ClassVar[Mapping[str, str]] = {
        **IMPORTS,
        "tf": "import tensorflow as tf",
        "keras": "import keras",
        "ops": "from keras import ops",
    }

    def library(self) -> str:
        return ">=3.3"

    def declare(self, word: str, spec: Spec, *, trainable: bool, persistent: bool) -> list[ast.stmt]:
        return []  # `build` makes them

    def build(self, info: ModuleInfo, members: Sequence[Member]) -> list[ast.stmt]:
        own = [
            self._weight(native, info.parameters[word].spec, info.parameters[word].trainable)
            for word, native in self.words(info.parameters).items()
            if info.parameters[word].alias is None
        ]
        return own + [stmt for member in members for stmt in self._built(member.reach, member)]

    def parameter(self, owner: ast.expr, word: str, *, trainable: bool, layer: str | None = None) -> ast.expr:
        cell, _, own = word.rpartition(".")  # files name the cell of a recurrent layer by its kind
        return attribute(attribute(owner, "cell"), own) if cell else attribute(owner, word)

    def _weight(self, word: str, spec: Spec, trainable: bool) -> ast.stmt:
        dtype = "" if spec.dtype == "float32" else f', dtype="{spec.dtype}"'  # else that of the layer's policy
        if spec.dtype == "float32" != self.main:
            dtype = ', dtype="float32", autocast=False'  # the policy is of fewer bits, and this is not
        kind = "" if trainable else ", trainable=False"
        stmt = statement(f'self.{word} = self.add_weight(name="{word}", shape=0{dtype}{kind})')
        stmt.value.keywords[1].value = literal(spec.shape, "size") or ast.Constant(None)  # type: ignore[attr-defined]
        return stmt

    def _built(self, reach: ast.expr, member: Member) -> list[ast.stmt]:
        """The statements that make the arrays of a child: for all items of a list at once where they are alike."""
        info = member.info
        if member.items:
            item = singular(info.path.rpartition(".")[2])
            bodies = [self._built(name(item), each) for each in member.items]
            places = [getattr(each.reach, "slice", None) for each in member.items]
            whole = [getattr(place, "value", None) for place in places] == list(range(len(places)))
            if whole and len(bodies) > 1 and len({"\n".join(map(ast.dump, body)) for body in bodies}) == 1:
                return [ast.For(ast.Name(item, ast.Store()), reach, bodies[0], [])] if bodies[0] else []
            return [stmt for each in member.items for stmt in self._built(each.reach, each)]
        if info.layer is None:
            return [ast.Expr(ast.Call(attribute(reach, "build"), [], []))]
        if info.layer not in BUILD:
            return []
        row = self.leaves.find(info.layer, info.config, self.version)
        assert row is not None, f"{info.layer} at {info.path} was not legalised for Keras"
        values = {key: literal(value, key) for key, value in row.values(info.config).items()}
        axes = literal((None,) * (member.rank - 1))
        return [ast.Expr(BUILD[info.layer].fill({**values, "self": reach, "axes": axes}))]

    def adopt(self, tree: ast.expr) -> ast.expr:
        """Besides, the main dtype is the compute dtype of the layer, so that the source serves every dtype policy."""
        return _Policy(self.main).visit(super().adopt(tree))

    def call(self, target: ast.expr, callee: Callee, args: list[ast.expr], keywords: list[ast.keyword]) -> ast.expr:
        """Besides, a layer that takes no array is called past Keras, which looks for one."""
        plain = callee if args or callee.method else dataclasses.replace(callee, method=self.method)
        return super().call(target, plain, args, keywords)

    def shape(self, array: ast.expr) -> ast.expr:
        return ast.Call(expression("ops.shape"), [array], [])

    def dropout(self, layer: ast.expr) -> ast.expr:
        return ast.Call(expression("functools.partial"), [layer], [ast.keyword("training", name("training"))])

    def rngs(self) -> ast.expr:
        return expression("self.seed_generator")

    def stream(self) -> list[ast.stmt]:
        return [statement("self.seed_generator = keras.random.SeedGenerator()")]

    def module_list(self, items: Mapping[int, ast.expr]) -> ast.expr:
        return repeated(filled(items))

    def constant(self, array: Any) -> ast.expr:
        return _Policy(self.main).visit(array_literal(array, "tf.constant", f"tf.{array.dtype.name}"))


class _Policy(ast.NodeTransformer):
    def __init__(self, main: str) -> None:
        self.main = main

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        return expression("self.compute_dtype") if ast.unparse(node) == f"tf.{self.main}" else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        unsaid = all(keyword.arg != "dtype" for keyword in node.keywords)
        makes = ast.unparse(node.func) in ("tf.zeros", "tf.ones", "tf.eye", "tf.one_hot")
        if makes and unsaid and self.main == "float32":
            node.keywords.append(ast.keyword("dtype", expression("self.compute_dtype")))
        return node
