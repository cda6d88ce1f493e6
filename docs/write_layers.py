"""Write docs/layers.md, from names of PyTorch, JAX, Keras and Optax to ours: ``python docs/write_layers.py``."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from ivyhub.engine import nn, ops, random
from ivyhub.engine.op import OPS

PAGE = Path(__file__).with_name("layers.md")

HEAD = """\
# Layers and functions by their other names

Written by `make docs`; a test keeps it complete for the versions in constraints.txt. `ops` is `ivyhub.engine.ops`, `nn`
is `ivyhub.engine.nn`. Number of axes and layout are told by the arguments: `ops.conv` is `conv1d`, `conv2d` and
`conv3d`, channels stand on `channel_axis`. What is not here has its reason at the end of each section.
"""

DATA = "preprocessing of images, text or tables, which is no part of a graph"
KERAS_ONLY = "of Keras' own machinery"
SHAPES = "shapes are given, or told by `Module.summary`"

OTHERS: dict[str, Mapping[str, str]] = {
    "torch.nn.functional": {
        "adaptive_max_pool1d_with_indices": "ops.adaptive_max_pool_with_indices",
        "adaptive_max_pool2d_with_indices": "ops.adaptive_max_pool_with_indices",
        "adaptive_max_pool3d_with_indices": "ops.adaptive_max_pool_with_indices",
        "conv_tbc": "ops.conv of transposed operands",
        "dropout": "nn.Dropout, random.dropout",
        "dropout1d": "nn.FeatureDropout",
        "dropout2d": "nn.FeatureDropout",
        "dropout3d": "nn.FeatureDropout",
        "fractional_max_pool2d_with_indices": "ops.fractional_max_pool_with_indices",
        "fractional_max_pool3d_with_indices": "ops.fractional_max_pool_with_indices",
        "gumbel_softmax": "ops.softmax of x + random.gumbel",
        "linear_cross_entropy": "ops.cross_entropy of ops.linear",
        "max_pool1d_with_indices": "ops.max_pool_with_indices",
        "max_pool2d_with_indices": "ops.max_pool_with_indices",
        "max_pool3d_with_indices": "ops.max_pool_with_indices",
        "multi_head_attention_forward": "nn.MultiHeadAttention",
        "native_channel_shuffle": "ops.channel_shuffle",
        "scaled_dot_product_attention": "ops.attention",
        "triplet_margin_with_distance_loss": "nn.TripletMarginWithDistanceLoss",
        "upsample": "ops.interpolate",
        "upsample_bilinear": "ops.interpolate",
        "upsample_nearest": "ops.interpolate",
        **dict.fromkeys(("grouped_mm", "scaled_grouped_mm", "scaled_mm"), "- products for one kind of GPU"),
        **dict.fromkeys(
            (
                *("assert_int_or_pair", "boolean_dispatch", "handle_torch_function", "has_torch_function"),
                *("has_torch_function_unary", "has_torch_function_variadic"),
            ),
            "- of PyTorch's own machinery",
        ),
        **dict.fromkeys(("ScalingType", "SwizzleType", "Tensor"), "- of PyTorch's own machinery"),
    },
    "torch.nn": {
        "AdaptiveLogSoftmaxWithLoss": "nn.AdaptiveLogSoftmax, and ops.nll_loss",
        **{f"BatchNorm{n}d": "nn.BatchNorm" for n in (1, 2, 3)},
        **{f"InstanceNorm{n}d": "nn.InstanceNorm" for n in (1, 2, 3)},
        **{f"Dropout{n}d": "nn.FeatureDropout" for n in (1, 2, 3)},
        **{f"MaxUnpool{n}d": "nn.MaxUnpool" for n in (1, 2, 3)},
        **{f"{kind}Pad{n}d": "nn.Pad" for kind in ("Circular", "Constant", "Zero") for n in (1, 2, 3)},
        **{f"{kind}Pad{n}d": "nn.Pad" for kind in ("Reflection", "Replication") for n in (1, 2, 3)},
        "CrossMapLRN2d": "nn.LocalResponseNorm",
        "Container": "nn.Module",
        "LinearCrossEntropyLoss": "nn.Linear, and nn.CrossEntropyLoss",
        "NLLLoss2d": "nn.NLLLoss",
        "ParameterDict": "nn.Parameter as attributes",
        "ParameterList": "nn.Parameter as attributes",
        "RNNBase": "nn.RNN",
        "RNNCellBase": "nn.RNNCell",
        "Softmax2d": "nn.Softmax(axis=1)",
        "Transformer": "nn.TransformerEncoderLayer and nn.TransformerDecoderLayer in an nn.ModuleList",
        "TransformerDecoder": "nn.TransformerDecoderLayer in an nn.ModuleList",
        "TransformerEncoder": "nn.TransformerEncoderLayer in an nn.Sequential",
        "UpsamplingBilinear2d": "nn.Upsample",
        "UpsamplingNearest2d": "nn.Upsample",
        **dict.fromkeys(("DataParallel", "SyncBatchNorm"), "- of several devices"),
        "LinearCrossEntropyOptions": "- of PyTorch's own machinery",
        "UninitializedBuffer": f"- {SHAPES}",
        "UninitializedParameter": f"- {SHAPES}",
        **{
            f"Lazy{name}{n}d": f"- {SHAPES}"
            for name in ("BatchNorm", "Conv", "ConvTranspose", "InstanceNorm")
            for n in (1, 2, 3)
        },
        "LazyLinear": f"- {SHAPES}",
    },
    "jax.nn": {
        "dot_product_attention": "ops.attention",
        "hard_silu": "ops.hardswish",
        "hard_swish": "ops.hardswish",
        "swish": "ops.silu",
        **dict.fromkeys(("get_scaled_dot_general_config", "scaled_dot_general", "scaled_matmul"), "- for some GPUs"),
    },
    "keras.activations": {
        "exponential": "ops.exp",
        "hard_shrink": "ops.hardshrink",
        "hard_sigmoid": "ops.hardsigmoid, which has the same slope",
        "hard_silu": "ops.hardswish",
        "hard_swish": "ops.hardswish",
        "hard_tanh": "ops.hardtanh",
        "linear": "nn.Identity",
        "swish": "ops.silu",
        **dict.fromkeys(("deserialize", "get", "serialize"), f"- {KERAS_ONLY}"),
    },
    "keras.ops.nn": {
        "adaptive_average_pool": "ops.adaptive_avg_pool",
        "average_pool": "ops.avg_pool",
        "batch_normalization": "ops.batch_norm",
        "binary_crossentropy": "ops.binary_cross_entropy",
        "categorical_crossentropy": "ops.cross_entropy of logits",
        "depth_to_space": "ops.pixel_shuffle",
        "depthwise_conv": "ops.conv with groups",
        "dot_product_attention": "ops.attention",
        "hard_silu": "ops.hardswish",
        "layer_normalization": "ops.layer_norm",
        "moments": "ops.mean and ops.var",
        "multi_hot": "ops.max of ops.one_hot",
        "polar": "ops.complex of the cosine and the sine",
        "psnr": "ops.log10 of ops.mse_loss",
        "rms_normalization": "ops.rms_norm",
        "separable_conv": "ops.conv with groups, and ops.conv",
        "space_to_depth": "ops.pixel_unshuffle",
        "sparse_categorical_crossentropy": "ops.cross_entropy of logits",
        "swish": "ops.silu",
        "ctc_decode": "- a search, whose result has a length of its own",
    },
    "keras.losses": {
        "BinaryCrossentropy": "nn.BCELoss, nn.BCEWithLogitsLoss",
        "BinaryFocalCrossentropy": "nn.SigmoidFocalLoss of logits",
        "CTC": "nn.CTCLoss",
        "CategoricalCrossentropy": "nn.CrossEntropyLoss of logits",
        "CategoricalFocalCrossentropy": "nn.CategoricalFocalLoss of logits",
        "CategoricalGeneralizedCrossEntropy": "nn.GeneralizedCrossEntropyLoss",
        "CosineSimilarity": "nn.CosineSimilarity, negative",
        "KLDivergence": "nn.KLDivLoss of logarithms",
        "MeanAbsoluteError": "nn.L1Loss",
        "MeanAbsolutePercentageError": "nn.MAPELoss",
        "MeanSquaredError": "nn.MSELoss",
        "MeanSquaredLogarithmicError": "nn.MSLELoss",
        "Poisson": "nn.PoissonNLLLoss",
        "SparseCategoricalCrossentropy": "nn.CrossEntropyLoss of logits",
        "binary_crossentropy": "ops.binary_cross_entropy",
        "binary_focal_crossentropy": "ops.sigmoid_focal_loss of logits",
        "categorical_crossentropy": "ops.cross_entropy of logits",
        "categorical_focal_crossentropy": "ops.categorical_focal_loss of logits",
        "categorical_generalized_cross_entropy": "ops.generalized_cross_entropy",
        "ctc": "ops.ctc_loss",
        "kl_divergence": "ops.kl_div of logarithms",
        "mean_absolute_error": "ops.l1_loss",
        "mean_squared_error": "ops.mse_loss",
        "poisson": "ops.poisson_nll_loss",
        "sparse_categorical_crossentropy": "ops.cross_entropy of logits",
        **dict.fromkeys(("Loss", "deserialize", "get", "serialize"), f"- {KERAS_ONLY}"),
    },
    "optax.losses": {
        "binary_dice_loss": "ops.dice_loss of ops.sigmoid",
        "convex_kl_divergence": "ops.generalized_kl_div",
        "cosine_distance": "ops.cosine_similarity, from 1",
        "ctc_loss_with_forward_probs": "ops.ctc_loss",
        "generalized_kl_divergence": "ops.generalized_kl_div",
        "kl_divergence": "ops.kl_div",
        "kl_divergence_with_log_targets": "ops.kl_div with log_target",
        "l2_loss": "ops.mse_loss, half of it",
        "multiclass_generalized_dice_loss": "ops.generalized_dice_loss of ops.softmax",
        "ntxent": "ops.ntxent_loss",
        "poly_loss_cross_entropy": "ops.poly_cross_entropy",
        "safe_softmax_cross_entropy": "ops.cross_entropy of probabilities",
        "sigmoid_binary_cross_entropy": "ops.binary_cross_entropy_with_logits",
        "smooth_labels": "ops.cross_entropy with label_smoothing",
        "softmax_cross_entropy": "ops.cross_entropy of probabilities",
        "softmax_cross_entropy_with_integer_labels": "ops.cross_entropy",
        "squared_error": "ops.mse_loss",
        "triplet_margin_loss": "ops.triplet_margin_loss",
        "make_fenchel_young_loss": "- it makes losses of a function",
    },
    "keras.layers": {
        "Activation": "nn.Lambda",
        **{f"AdaptiveAveragePooling{n}D": f"nn.AdaptiveAvgPool{n}d" for n in (1, 2, 3)},
        **{f"AdaptiveMaxPooling{n}D": f"nn.AdaptiveMaxPool{n}d" for n in (1, 2, 3)},
        **{f"AveragePooling{n}D": f"nn.AvgPool{n}d" for n in (1, 2, 3)},
        **{f"MaxPooling{n}D": f"nn.MaxPool{n}d" for n in (1, 2, 3)},
        **{
            f"Global{kind}{n}D": f"nn.Adaptive{kind[:3].replace('Ave', 'Avg')}Pool{n}d(1)"
            for kind in ("AveragePooling", "AvgPool", "MaxPool", "MaxPooling")
            for n in (1, 2, 3)
        },
        **{
            f"{name}{n}D{end}": f"nn.ConvTranspose{n}d"
            for n in (1, 2, 3)
            for name, end in (("Conv", "Transpose"), ("Convolution", "Transpose"))
        },
        **{f"Convolution{n}D": f"nn.Conv{n}d" for n in (1, 2, 3)},
        **{f"Cropping{n}D": "ops.getitem" for n in (1, 2, 3)},
        **{f"DepthwiseConv{n}D": f"nn.Conv{n}d with groups" for n in (1, 2)},
        **{
            f"Separable{name}{n}D": f"nn.Conv{n}d with groups, and nn.Conv{n}d"
            for name in ("Conv", "Convolution")
            for n in (1, 2)
        },
        **{f"SpatialDropout{n}D": "nn.FeatureDropout" for n in (1, 2, 3)},
        **{f"UpSampling{n}D": "nn.Upsample" for n in (1, 2, 3)},
        **{f"ZeroPadding{n}D": "nn.Pad" for n in (1, 2, 3)},
        "Average": "ops.mean of ops.stack",
        "average": "ops.mean of ops.stack",
        "BatchNormalization": "nn.BatchNorm",
        "Bidirectional": "nn.LSTM with bidirectional",
        "Concatenate": "ops.concat",
        "concatenate": "ops.concat",
        "Dense": "nn.Linear",
        "Dot": "ops.einsum",
        "dot": "ops.einsum",
        "EinsumDense": "nn.Einsum",
        "GroupNormalization": "nn.GroupNorm",
        "GroupQueryAttention": "nn.MultiHeadAttention with key_heads",
        "Layer": "nn.Module",
        "LayerNormalization": "nn.LayerNorm",
        "Masking": "nn.LSTM with lengths",
        "Permute": "ops.transpose",
        "RMSNormalization": "nn.RMSNorm",
        "RepeatVector": "ops.broadcast_to",
        "Rescaling": "nn.Lambda",
        "Resizing": "nn.Upsample",
        "ReversibleEmbedding": "nn.Embedding, and nn.Module.tie",
        "STFTSpectrogram": "ops.stft",
        "SimpleRNN": "nn.RNN",
        "SimpleRNNCell": "nn.RNNCell",
        "StackedRNNCells": "nn.RNN with num_layers",
        "TimeDistributed": "nn.Lambda of ivyhub.engine.vmap",
        "UnitNormalization": "nn.Normalize",
        **dict.fromkeys((f"ConvLSTM{n}D" for n in (1, 2, 3)), "- to be written with nn.Conv2d and control_flow.scan"),
        "ActivityRegularization": "- a term of the loss",
        "SpectralNormalization": "- it changes another layer's weights",
        **dict.fromkeys(
            (
                *("AugMix", "AutoContrast", "CategoryEncoding", "CenterCrop", "CutMix", "Discretization"),
                *("ContrastLimitedAdaptiveHistogramEqualization", "Equalization", "HashedCrossing", "Hashing"),
                *("IntegerLookup", "MaxNumBoundingBoxes", "MelSpectrogram", "MixUp", "Normalization", "Pipeline"),
                *("RandAugment", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter"),
                *("RandomContrast", "RandomCrop", "RandomElasticTransform", "RandomErasing", "RandomFlip"),
                *("RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert", "RandomPerspective"),
                *("RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear"),
                *("RandomTranslation", "RandomZoom", "Solarization", "StringLookup", "TextVectorization"),
            ),
            f"- {DATA}",
        ),
        **dict.fromkeys(
            (
                *("FlaxLayer", "Input", "InputLayer", "InputSpec", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"),
                *("Wrapper", "deserialize", "serialize"),
            ),
            f"- {KERAS_ONLY}",
        ),
    },
}
"""Names of other libraries that are not ours: what to use, or after a dash why there is nothing."""


def same(name: str) -> str:
    """Our name that reads the same, or nothing: an operation for a function, a module for a class."""
    tables = (_OPERATIONS, _MODULES) if name[0].islower() else (_MODULES, _OPERATIONS)
    words = _plain(name), re.sub(r"[123]d$", "", _plain(name))
    return next((table[word] for table in tables for word in words if word in table), "")


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _table(owner: Any, where: str, names: list[str]) -> dict[str, str]:
    """Our names by how they read, with and without "loss": Keras says Hinge, we say HingeLoss."""
    found: dict[str, str] = {}
    public = [name for name in names if not name.startswith("_") and callable(getattr(owner, name))]
    for word in (_plain, lambda name: _plain(name).removesuffix("loss")):
        for name in public:
            found.setdefault(word(name), f"{where}.{name}")
    return found


_OPERATIONS = _table(ops, "ops", list(OPS))
_MODULES = _table(nn, "nn", dir(nn))


def names(library: str) -> list[str]:
    """The public functions and classes of a module, but for in-place twins of functions."""
    module: Any = importlib.import_module(library)
    found: list[str] = []
    for name in dir(module):
        value = getattr(module, name)
        if name.startswith("_") or inspect.ismodule(value) or not callable(value):
            continue
        in_place = name.endswith("_") and hasattr(module, name[:-1])
        own = (getattr(value, "__module__", None) or library).partition(".")[0] in library.partition(".")[0]
        if not in_place and (own or library.startswith("jax")) and (library != "torch.nn" or inspect.isclass(value)):
            found.append(name)
    return found


def ours(library: str, name: str) -> str:
    """What stands for a name: ours, or a dash and why there is nothing; empty where the table lacks it."""
    return OTHERS[library].get(name) or same(name)


def page(found: Mapping[str, list[str]] | None = None) -> str:
    """The whole page: a section for each library."""
    sections = [HEAD]
    for library in OTHERS:
        rows, alike, without = [], [], dict[str, list[str]]()
        for name in names(library) if found is None else found[library]:
            target = ours(library, name)
            if target.startswith("- "):
                without.setdefault(target[2:], []).append(f"`{name}`")
            elif name in OTHERS[library]:
                rows.append(f"| `{name}` | {_code(target)} |")
            else:
                alike.append(f"`{name}`" if target.partition(".")[2] == name else f"`{name}` (`{target}`)")
        lines = [f"## {library}\n", f"As they are, or nearly: {', '.join(alike)}.\n"]
        lines += ["| theirs | ours |", "| --- | --- |", *rows, ""]
        lines += [f"* Not here, {reason}: {', '.join(each)}." for reason, each in without.items()]
        sections.append("\n".join(lines).rstrip() + "\n")
    return "\n".join(sections)


def _code(target: str) -> str:
    """Names of ours in code quotes."""
    return _NAMES.sub(r"`\g<0>`", target)


_NAMES = re.compile(r"\b(?:ivyhub\.engine|control_flow|random|ops|nn)(?:\.\w+)+(?:\([^)]*\))?")


def resolves(target: str) -> bool:
    """Whether all that is named in a cell exists."""
    from ivyhub import engine
    from ivyhub.engine import control_flow

    roots = {"ops": ops, "nn": nn, "random": random, "control_flow": control_flow, "ivyhub": None}
    found = _NAMES.findall(target)
    for each in found:
        root, *path = each.partition("(")[0].split(".")
        value: Any = roots[root] or engine
        for part in path[1:] if root == "ivyhub" else path:
            value = getattr(value, part, None)
        if value is None:
            return False
    return bool(found)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
