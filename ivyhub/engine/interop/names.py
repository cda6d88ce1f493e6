"""What functions of other libraries are called here; `docs/names.md` is written from these tables.

A name on our side is one of `ivyhub.engine`, dotted for what lies deeper: ``random.normal``, ``Array.reshape``. Where
several of theirs are one of ours, it tells the cases apart by an argument or by the shape.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


INVERSE = {
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctanh": "atanh",
}
"""NumPy's older names of inverse functions, which both libraries keep."""

EAGERPY = {
    **INVERSE,
    "T": "matrix_transpose",
    "astensor": "Array",
    "bool": "astype",
    "concatenate": "concat",
    "crossentropy": "cross_entropy",
    "cumsum": "cumulative_sum",
    "dtype": "Array.dtype",
    "flatten": "reshape",
    "float32": "astype",
    "float64": "astype",
    "from_numpy": "asarray",
    "index_update": "at_set",
    "item": "Array.item",
    "kl_div_with_logits": "kl_div",
    "ndim": "Array.ndim",
    "normal": "random.normal",
    "norms": "vector_norm",
    "numpy": "Array.numpy",
    "onehot_like": "one_hot",
    "raw": "Array.native",
    "shape": "Array.shape",
    "transpose": "permute_dims",
    "uniform": "random.uniform",
    "value_and_grad_fn": "value_and_grad",
    "value_aux_and_grad": "value_and_grad",
    "value_aux_and_grad_fn": "value_and_grad",
}
"""EagerPy's methods and functions whose function here has another name; `Array` has the methods under EagerPy's."""

EAGERPY_SAME = _words(
    """
    abs all any arange argmax argmin argsort astype ceil clip cos cosh exp expand_dims flip floor full full_like inv
    isinf isnan log log10 log1p log2 log_softmax logical_and logical_not logical_or matmul max maximum mean meshgrid
    min minimum ones ones_like pad pow prod reshape round sign sin sinh slogdet softmax sort sqrt square squeeze
    stack sum take_along_axis tan tanh tile topk value_and_grad where zeros zeros_like
    """
)
"""EagerPy's methods whose function has the same name."""

TENSORLY = {
    **INVERSE,
    "backend_name": "Array.framework",
    "check_random_state": "random.key",
    "complex128": "xp.numpy.complex128",
    "complex64": "xp.numpy.complex64",
    "concatenate": "concat",
    "context": "Array.dtype",
    "copy": "asarray",
    "cumsum": "cumulative_sum",
    "dot": "tensordot",
    "e": "xp.numpy.e",
    "eps": "finfo",
    "float32": "xp.numpy.float32",
    "float64": "xp.numpy.float64",
    "gamma": "random.gamma",
    "index_update": "Array.index_update",
    "inf": "xp.numpy.inf",
    "int32": "xp.numpy.int32",
    "int64": "xp.numpy.int64",
    "is_tensor": "Array",
    "nan": "xp.numpy.nan",
    "ndim": "Array.ndim",
    "norm": "vector_norm",
    "pi": "xp.numpy.pi",
    "randn": "random.normal",
    "shape": "Array.shape",
    "tensor": "asarray",
    "to_numpy": "Array.numpy",
    "transpose": "permute_dims",
}
"""The functions and attributes of a TensorLy backend that have another name here."""

TENSORLY_SAME = _words(
    """
    abs acos acosh all any arange argmax argmin argsort asin asinh atan atanh clip conj cos cosh count_nonzero
    digamma eigh einsum exp eye finfo flip kron log log2 logsumexp lstsq matmul max maximum mean min minimum
    moveaxis ones prod qr reshape sign sin sinh solve sort sqrt stack sum svd tan tanh tensordot trace where zeros
    zeros_like
    """
)
"""Those that have the same."""

TENSORLY_MISSING = _words(
    """
    diag index kr partial_svd
    """
)
"""Those that have no counterpart; the backend of `interop.tensorly` builds some of other functions."""

IVY = {
    "adam_step": "optim.Adam",
    "adam_update": "optim.Adam",
    "adaptive_avg_pool1d": "adaptive_avg_pool",
    "adaptive_avg_pool2d": "adaptive_avg_pool",
    "adaptive_max_pool2d": "adaptive_max_pool",
    "adaptive_max_pool3d": "adaptive_max_pool",
    "amax": "max",
    "amin": "min",
    "area_interpolate": "interpolate",
    "argwhere": "nonzero",
    "as_ivy_dev": "Device",
    "as_native_dev": "Device.name",
    "atleast_1d": "reshape",
    "atleast_2d": "reshape",
    "atleast_3d": "reshape",
    "avg_pool1d": "avg_pool",
    "avg_pool2d": "avg_pool",
    "avg_pool3d": "avg_pool",
    "bernoulli": "random.bernoulli",
    "beta": "random.beta",
    "bind_custom_gradient_function": "custom_gradient",
    "clip_vector_norm": "nn.clip_by_norm",
    "column_stack": "concat",
    "concat_from_sequence": "concat",
    "constant_pad": "pad",
    "conv1d": "conv",
    "conv1d_transpose": "conv_transpose",
    "conv2d": "conv",
    "conv2d_transpose": "conv_transpose",
    "conv3d": "conv",
    "conv3d_transpose": "conv_transpose",
    "conv_general_dilated": "conv",
    "conv_general_transpose": "conv_transpose",
    "copy_array": "asarray",
    "cumprod": "cumulative_prod",
    "cumsum": "cumulative_sum",
    "current_backend_str": "Array.framework",
    "default_float_dtype": "default_dtype",
    "depthwise_conv2d": "conv",
    "dev": "device",
    "dft": "fft.fft",
    "dirichlet": "random.dirichlet",
    "dot": "tensordot",
    "dropout1d": "nn.FeatureDropout",
    "dropout2d": "nn.FeatureDropout",
    "dropout3d": "nn.FeatureDropout",
    "dsplit": "split",
    "dstack": "concat",
    "dtype": "Array.dtype",
    "execute_with_gradients": "value_and_grad",
    "expand": "broadcast_to",
    "eye_like": "eye",
    "fft2": "fft.fftn",
    "fix": "trunc",
    "flatten": "Array.flatten",
    "fliplr": "flip",
    "flipud": "flip",
    "for_loop": "fori_loop",
    "gamma": "random.gamma",
    "gather": "take",
    "gather_nd": "index",
    "get_item": "Array.__getitem__",
    "get_num_dims": "Array.ndim",
    "gradient_descent_update": "optim.SGD",
    "hardsilu": "hardswish",
    "hsplit": "split",
    "hstack": "concat",
    "if_else": "cond",
    "inplace_decrement": "Array.__isub__",
    "inplace_increment": "Array.__iadd__",
    "inplace_update": "Array.__setitem__",
    "invert_permutation": "argsort",
    "is_bool_dtype": "isdtype",
    "is_complex_dtype": "isdtype",
    "is_float_dtype": "isdtype",
    "is_int_dtype": "isdtype",
    "is_ivy_array": "Array",
    "is_uint_dtype": "isdtype",
    "l1_normalize": "normalize",
    "l2_normalize": "normalize",
    "lamb_update": "optim.LAMB",
    "log_poisson_loss": "poisson_nll_loss",
    "logsigmoid": "log_sigmoid",
    "lp_normalize": "normalize",
    "lstm_update": "lstm_cell",
    "matrix_rank": "linalg.matrix_rank",
    "max_pool1d": "max_pool",
    "max_pool2d": "max_pool",
    "max_pool3d": "max_pool",
    "max_unpool1d": "max_unpool",
    "msort": "sort",
    "multi_head_attention": "nn.MultiHeadAttention",
    "multinomial": "random.categorical",
    "native_array": "Array.native",
    "nearest_interpolate": "interpolate",
    "nested_map": "trees.tree_map",
    "optimizer_update": "optim.Optimizer",
    "poisson": "random.poisson",
    "promote_types": "result_type",
    "promote_types_of_inputs": "result_type",
    "put_along_axis": "set_along_axis",
    "randint": "random.randint",
    "random_normal": "random.normal",
    "scaled_dot_product_attention": "attention",
    "scatter_flat": "scatter_reduce",
    "scatter_nd": "at_add",
    "seed": "random.key",
    "set_default_device": "default_device",
    "set_default_dtype": "default_dtype",
    "set_default_float_dtype": "default_dtype",
    "set_item": "Array.index_update",
    "shape": "Array.shape",
    "shuffle": "random.shuffle",
    "size": "Array.size",
    "sparse_cross_entropy": "cross_entropy",
    "swapaxes": "moveaxis",
    "thresholded_relu": "threshold",
    "to_dlpack": "Array.__dlpack__",
    "to_list": "Array.tolist",
    "to_numpy": "Array.numpy",
    "to_scalar": "Array.item",
    "top_k": "topk",
    "trilu": "tril",
    "type_promote_arrays": "result_type",
    "unflatten": "reshape",
    "unset_default_device": "default_device",
    "unset_default_dtype": "default_dtype",
    "unset_default_float_dtype": "default_dtype",
    "unsorted_segment_mean": "segment_mean",
    "unsorted_segment_min": "segment_min",
    "unsorted_segment_sum": "segment_sum",
    "vsplit": "split",
    "vstack": "concat",
    "zero_pad": "pad",
}
"""Ivy's functions that have another name here."""

IVY_SAME = _words(
    """
    abs acos acosh add all any arange argmax argmin argsort asarray asin asinh associative_scan astype atan atan2
    atanh batch_norm binary_cross_entropy bitwise_and bitwise_invert bitwise_left_shift bitwise_or
    bitwise_right_shift bitwise_xor blackman_window broadcast_arrays broadcast_shapes broadcast_to can_cast ceil
    celu cholesky clip complex concat cond conj conv copysign cos cosh count_nonzero cross cross_entropy
    default_device default_dtype det diagonal diff digamma divide dropout eig eigh eigvals eigvalsh einsum elu
    embedding empty empty_like equal erf erfinv exp exp2 expand_dims expm1 eye fft finfo flip floor floor_divide
    fold from_dlpack full full_like gelu grad greater greater_equal group_norm hamming_window hann_window hardshrink
    hardswish hardtanh hinge_embedding_loss huber_loss hypot ifft ifftn iinfo imag instance_norm interpolate inv
    isfinite isin isinf isnan jvp kaiser_window kl_div kron l1_loss layer_norm leaky_relu less less_equal lgamma
    linear linspace local_response_norm log log10 log1p log2 log_softmax logaddexp logical_and logical_not
    logical_or logical_xor lstm map matmul matrix_norm matrix_power matrix_transpose max maximum mean meshgrid min
    minimum mish moveaxis multiply negative nextafter nonzero not_equal one_hot ones ones_like outer pad
    permute_dims pinv poisson_nll_loss positive pow prelu prod qr random_uniform real reciprocal relu relu6
    remainder repeat reshape result_type rfft rfftn rnn roll round searchsorted selu sigmoid sign signbit silu sin
    sinh slogdet smooth_l1_loss soft_margin_loss softmax softplus softshrink softsign solve sort split sqrt square
    squeeze stack std stft stop_gradient subtract sum svd svdvals take take_along_axis tan tanh tanhshrink tensordot
    threshold tile to_device trace tril triu trunc unfold unique_all unique_counts unique_inverse unique_values
    unstack value_and_grad var vecdot vector_norm vjp vmap where while_loop zeros zeros_like
    """
)
"""Ivy's functions that have the same name; signatures are the standard's where it has the function."""

IVY_MISSING = _words(
    """
    adjoint all_equal all_nested_indices allclose angle arg_info arg_names array_equal as_ivy_dtype as_native_dtype
    as_strided assert_supports_inplace batched_outer binarizer bincount cache_fn check_float check_scalar choose
    clear_cached_mem_on_dev clip_matrix_norm closest_valid_dtype cmp_is cmp_isnot container_types copy_nest corrcoef
    cov cummax cummin dct default default_complex_dtype default_int_dtype default_uint_dtype deg2rad dev_util diag
    diagflat dtype_bits duplicate_array_index_chains eigh_tridiagonal einops_rearrange einops_reduce einops_repeat
    erfc exists fill_diagonal float_power fmax fmin fmod fomaml_step fourier_encode frexp frombuffer
    function_supported_devices function_supported_devices_and_dtypes function_supported_dtypes
    function_unsupported_devices function_unsupported_devices_and_dtypes function_unsupported_dtypes gcd
    general_inner_product generate_einsum_equation get_all_arrays_in_memory get_all_ivy_arrays_on_dev
    get_interpolate_kernel get_referrers_recursive gpu_is_available gradient handle_soft_device_variable has_nans
    heaviside higher_order_moment histogram i0 idct igamma index_nest indices infer_default_dtype initialize_tucker
    inner inplace_arrays_supported inplace_variables_supported insert_into_nest_at_index insert_into_nest_at_indices
    interp invalid_dtype is_array is_hashable_dtype is_ivy_container is_ivy_nested_array is_ivy_sparse_array
    is_native_array is_native_dtype is_native_sparse_array isclose isreal isscalar itemsize jac
    kaiser_bessel_derived_window khatri_rao kronecker lars_update lcm ldexp lerp lexsort load logaddexp2 logit
    logspace lu_factor lu_solve make_svd_non_negative maml_step map_nest_at_index map_nest_at_indices match_kwargs
    matricize matrix_exp median mel_weight_matrix mode_dot modf multi_dot multi_index_nest multi_mode_dot
    multiprocessing nan_to_num nanmean nanmedian nanmin nanprod nansum native_sparse_array
    native_sparse_array_to_indices_values_and_shape ndenumerate ndindex nested_any nested_argwhere nested_multi_map
    nms num_arrays_in_memory num_cpu_cores num_gpus num_ivy_arrays_on_dev optional_get_element pad_sequence
    partial_fold partial_tensor_to_vec partial_tucker partial_unfold partial_vec_to_tensor percent_used_mem_on_dev
    polyval pool print_all_arrays_in_memory print_all_ivy_arrays_on_dev prune_empty prune_nest_at_index
    prune_nest_at_indices quantile rad2deg random_cp random_parafac2 random_tr random_tt random_tucker reduce
    reduce_window reptile_step requires_gradient roi_align rot90 save scaled_tanh set_array_mode
    set_default_complex_dtype set_default_int_dtype set_default_uint_dtype set_exception_trace_mode set_inplace_mode
    set_min_base set_min_denominator set_nest_at_index set_nest_at_indices set_nestable_mode set_precise_mode
    set_queue_timeout set_shape_array_mode set_show_func_wrapper_trace_mode set_soft_device_mode set_split_factor
    set_tmp_dir sinc sliding_window soft_thresholding solve_triangular sparsify_tensor split_factor split_func_call
    ssim_loss stable_divide stable_pow strides supports_inplace_updates svd_flip tensor_train tensorsolve
    to_ivy_shape to_native_shape total_mem_on_dev tpu_is_available trapz tril_indices trim_zeros triu_indices
    trunc_divide truncated_svd try_else_none try_except tt_matrix_to_tensor tucker unique_consecutive unravel_index
    unset_array_mode unset_default_complex_dtype unset_default_int_dtype unset_default_uint_dtype
    unset_exception_trace_mode unset_inplace_mode unset_min_base unset_min_denominator unset_nestable_mode
    unset_precise_mode unset_queue_timeout unset_shape_array_mode unset_show_func_wrapper_trace_mode
    unset_soft_device_mode unset_tmp_dir used_mem_on_dev valid_dtype value_is_nan vander
    vector_to_skew_symmetric_matrix vorbis_window wasserstein_loss_discriminator wasserstein_loss_generator xlogy
    zeta
    """
)
"""Ivy's functions that have no counterpart: settings of its global state, helpers for its nests, and operations."""
