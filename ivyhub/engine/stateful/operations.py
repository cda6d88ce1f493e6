"""Operations as modules: activations, pooling and losses, each an operation of `engine.ops` with its settings.

``Softmax(axis=1)(x)`` is ``ops.softmax(x, axis=1)``. In a graph they are their operations, without a scope.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ...errors import EngineError
from .. import ops
from ..op import OPS, Op
from ..ops.losses import reduced
from ..spec import normalize_axis, spec_of
from .leaves import Padding, each, pads
from .module import Module


class Operation(Module):
    """Base of the modules of operations.

    Attributes:
        op: the operation.
        settings: its attributes, as they were given.
    """

    inlined: ClassVar[bool] = True
    op: Op

    def __init__(self, **settings: Any) -> None:
        self.op.bind(settings)
        self.settings = settings

    def forward(self, *arrays: Any) -> Any:
        return self.op(*arrays, **self.settings)

    def _settings(self) -> str:
        own = {} if self.op is type(self).op else {"op": self.op}
        return ", ".join(f"{name}={value!r}" for name, value in (self.settings | own).items())


def operation(name: str, op: Op) -> type[Operation]:
    """The module of an operation.

    Example:
        >>> operation("Softmax", ops.softmax)(axis=1)
        Softmax(axis=1)
    """
    cls = type(name, (Operation,), {"op": op, "__doc__": op.__doc__, "__module__": __name__})
    keywords = [p for p in inspect.signature(op.function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    cls.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    return cls


# -- activations -----------------------------------------------------------------------------------------------------

CELU = operation("CELU", ops.celu)
ELU = operation("ELU", ops.elu)
GELU = operation("GELU", ops.gelu)
GLU = operation("GLU", ops.glu)
Hardshrink = operation("Hardshrink", ops.hardshrink)
Hardsigmoid = operation("Hardsigmoid", ops.hardsigmoid)
Hardswish = operation("Hardswish", ops.hardswish)
Hardtanh = operation("Hardtanh", ops.hardtanh)
LeakyReLU = operation("LeakyReLU", ops.leaky_relu)
LogSigmoid = operation("LogSigmoid", ops.log_sigmoid)
LogSoftmax = operation("LogSoftmax", ops.log_softmax)
Mish = operation("Mish", ops.mish)
ReLU = operation("ReLU", ops.relu)
ReLU6 = operation("ReLU6", ops.relu6)
SELU = operation("SELU", ops.selu)
Sigmoid = operation("Sigmoid", ops.sigmoid)
SiLU = operation("SiLU", ops.silu)
Softmax = operation("Softmax", ops.softmax)
Softmin = operation("Softmin", ops.softmin)
Softplus = operation("Softplus", ops.softplus)
Softshrink = operation("Softshrink", ops.softshrink)
Softsign = operation("Softsign", ops.softsign)
SparsePlus = operation("SparsePlus", ops.sparse_plus)
Squareplus = operation("Squareplus", ops.squareplus)
Tanh = operation("Tanh", ops.tanh)
Tanhshrink = operation("Tanhshrink", ops.tanhshrink)
Threshold = operation("Threshold", ops.threshold)
RReLU = operation("RReLU", ops.rrelu)
Sparsemax = operation("Sparsemax", ops.sparsemax)
SparseSigmoid = operation("SparseSigmoid", ops.sparse_sigmoid)

# -- shapes and norms ------------------------------------------------------------------------------------------------

ChannelShuffle = operation("ChannelShuffle", ops.channel_shuffle)
Fold = operation("Fold", ops.fold)
LocalResponseNorm = operation("LocalResponseNorm", ops.local_response_norm)
Pad = operation("Pad", ops.pad)
PixelShuffle = operation("PixelShuffle", ops.pixel_shuffle)
PixelUnshuffle = operation("PixelUnshuffle", ops.pixel_unshuffle)
Unfold = operation("Unfold", ops.unfold)
MaxUnpool = operation("MaxUnpool", ops.max_unpool)
Normalize = operation("Normalize", ops.normalize)

# -- losses ----------------------------------------------------------------------------------------------------------

MSELoss = operation("MSELoss", ops.mse_loss)
L1Loss = operation("L1Loss", ops.l1_loss)
HuberLoss = operation("HuberLoss", ops.huber_loss)
SmoothL1Loss = operation("SmoothL1Loss", ops.smooth_l1_loss)
LogCoshLoss = operation("LogCoshLoss", ops.log_cosh_loss)
PoissonNLLLoss = operation("PoissonNLLLoss", ops.poisson_nll_loss)
GaussianNLLLoss = operation("GaussianNLLLoss", ops.gaussian_nll_loss)
KLDivLoss = operation("KLDivLoss", ops.kl_div)
NLLLoss = operation("NLLLoss", ops.nll_loss)
CrossEntropyLoss = operation("CrossEntropyLoss", ops.cross_entropy)
BCELoss = operation("BCELoss", ops.binary_cross_entropy)
BCEWithLogitsLoss = operation("BCEWithLogitsLoss", ops.binary_cross_entropy_with_logits)
SigmoidFocalLoss = operation("SigmoidFocalLoss", ops.sigmoid_focal_loss)
TverskyLoss = operation("TverskyLoss", ops.tversky_loss)
DiceLoss = operation("DiceLoss", ops.dice_loss)
CTCLoss = operation("CTCLoss", ops.ctc_loss)
CosineSimilarity = operation("CosineSimilarity", ops.cosine_similarity)
PairwiseDistance = operation("PairwiseDistance", ops.pairwise_distance)
HingeLoss = operation("HingeLoss", ops.hinge_loss)
SquaredHingeLoss = operation("SquaredHingeLoss", ops.squared_hinge_loss)
CategoricalHingeLoss = operation("CategoricalHingeLoss", ops.categorical_hinge_loss)
SoftMarginLoss = operation("SoftMarginLoss", ops.soft_margin_loss)
HingeEmbeddingLoss = operation("HingeEmbeddingLoss", ops.hinge_embedding_loss)
MarginRankingLoss = operation("MarginRankingLoss", ops.margin_ranking_loss)
CosineEmbeddingLoss = operation("CosineEmbeddingLoss", ops.cosine_embedding_loss)
TripletMarginLoss = operation("TripletMarginLoss", ops.triplet_margin_loss)
PerceptronLoss = operation("PerceptronLoss", ops.perceptron_loss)
MulticlassPerceptronLoss = operation("MulticlassPerceptronLoss", ops.multiclass_perceptron_loss)
MulticlassHingeLoss = operation("MulticlassHingeLoss", ops.multiclass_hinge_loss)
SparsemaxLoss = operation("SparsemaxLoss", ops.sparsemax_loss)
MulticlassSparsemaxLoss = operation("MulticlassSparsemaxLoss", ops.multiclass_sparsemax_loss)
GeneralizedCrossEntropyLoss = operation("GeneralizedCrossEntropyLoss", ops.generalized_cross_entropy)
PolyCrossEntropyLoss = operation("PolyCrossEntropyLoss", ops.poly_cross_entropy)
CategoricalFocalLoss = operation("CategoricalFocalLoss", ops.categorical_focal_loss)
GeneralizedKLDivLoss = operation("GeneralizedKLDivLoss", ops.generalized_kl_div)
GeneralizedDiceLoss = operation("GeneralizedDiceLoss", ops.generalized_dice_loss)
RankingSoftmaxLoss = operation("RankingSoftmaxLoss", ops.ranking_softmax_loss)
NTXentLoss = operation("NTXentLoss", ops.ntxent_loss)
CircleLoss = operation("CircleLoss", ops.circle_loss)
MAPELoss = operation("MAPELoss", ops.mean_absolute_percentage_error)
MSLELoss = operation("MSLELoss", ops.mean_squared_logarithmic_error)
MultiMarginLoss = operation("MultiMarginLoss", ops.multi_margin_loss)
MultiLabelMarginLoss = operation("MultiLabelMarginLoss", ops.multilabel_margin_loss)
MultiLabelSoftMarginLoss = operation("MultiLabelSoftMarginLoss", ops.multilabel_soft_margin_loss)


class TripletMarginWithDistanceLoss(Module):
    """`ops.triplet_margin_loss` with a distance of one's own, ``distance(x, y)`` along the last axis.

    Source: torch.nn.TripletMarginWithDistanceLoss.
    """

    def __init__(
        self,
        distance: Callable[[Any, Any], Any] = ops.pairwise_distance,
        *,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        self.distance, self.margin, self.swap, self.reduction = distance, margin, swap, reduction

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Any:
        far = self.distance(anchor, negative)
        if self.swap:
            far = ops.minimum(far, self.distance(positive, negative))
        loss = ops.maximum(self.distance(anchor, positive) - far + self.margin, 0)
        return reduced(loss, self.reduction)


class Upsample(Operation):
    """`ops.interpolate` to a size, or by a factor. Source: torch.nn.Upsample.

    Example:
        >>> import numpy as np
        >>> Upsample(scale=2)(np.ones((1, 1, 2, 3), np.float32)).shape
        (1, 1, 4, 6)
    """

    op: Op = ops.interpolate

    def __init__(self, size: int | Sequence[int] | None = None, scale: float | None = None, **settings: Any) -> None:
        if (size is None) == (scale is None):
            raise EngineError(f"Upsample expected a size or a scale, received {size} and {scale}")
        super().__init__(size=size, **settings)
        self.scale = scale

    def forward(self, *arrays: Any) -> Any:
        (x,) = arrays
        spec, settings = spec_of(x), dict(self.settings)
        channels = normalize_axis(settings.get("channel_axis", 1), spec.ndim)
        sizes = [size for axis, size in enumerate(spec.shape) if axis not in (0, channels)]
        if self.scale is None:
            settings["size"] = each(settings["size"], len(sizes))
        else:
            settings["size"] = tuple(int(int(size) * self.scale) for size in sizes)
        return self.op(x, **settings)


# -- pooling ---------------------------------------------------------------------------------------------------------


class _Pool(Operation):
    rank: ClassVar[int]

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: Padding = 0,
        dilation: int | Sequence[int] = 1,
        *,
        return_indices: bool = False,
        **settings: Any,
    ) -> None:
        if return_indices:
            self.op = _indexed(self.op)
        kernel, spread = each(kernel_size, self.rank), each(dilation, self.rank)
        settings |= {"kernel": kernel, "strides": kernel if stride is None else each(stride, self.rank)}
        for name, value, neutral in (
            ("padding", pads(padding, kernel, spread), ((0, 0),) * self.rank),
            ("dilation", spread, (1,) * self.rank),
        ):
            if name in self.op.attributes:
                settings[name] = value
            elif value != neutral:
                raise EngineError(f"{self.op.name} has no {name}, received {value}")
        super().__init__(**settings)


class _AdaptivePool(Operation):
    rank: ClassVar[int]

    def __init__(self, size: int | Sequence[int], *, return_indices: bool = False, **settings: Any) -> None:
        if return_indices:
            self.op = _indexed(self.op)
        super().__init__(size=each(size, self.rank), **settings)


def _indexed(op: Op) -> Op:
    """The operation that gives places, too."""
    found = OPS.get(f"{op.name}_with_indices")
    if found is None:
        raise EngineError(f"{op.name} has no places to return", hint="max_pool and adaptive_max_pool have")
    return found


def _ranked(name: str, base: type[Operation], op: Op, rank: int) -> Any:
    return type(name, (base,), {"op": op, "rank": rank, "__doc__": op.__doc__, "__module__": __name__})


MaxPool1d, MaxPool2d, MaxPool3d = (_ranked(f"MaxPool{rank}d", _Pool, ops.max_pool, rank) for rank in (1, 2, 3))
AvgPool1d, AvgPool2d, AvgPool3d = (_ranked(f"AvgPool{rank}d", _Pool, ops.avg_pool, rank) for rank in (1, 2, 3))
LPPool1d, LPPool2d, LPPool3d = (_ranked(f"LPPool{rank}d", _Pool, ops.lp_pool, rank) for rank in (1, 2, 3))
AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d = (
    _ranked(f"AdaptiveMaxPool{rank}d", _AdaptivePool, ops.adaptive_max_pool, rank) for rank in (1, 2, 3)
)
AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d = (
    _ranked(f"AdaptiveAvgPool{rank}d", _AdaptivePool, ops.adaptive_avg_pool, rank) for rank in (1, 2, 3)
)

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "CELU",
    "CTCLoss",
    "CategoricalFocalLoss",
    "CategoricalHingeLoss",
    "ChannelShuffle",
    "CircleLoss",
    "CosineEmbeddingLoss",
    "CosineSimilarity",
    "CrossEntropyLoss",
    "DiceLoss",
    "ELU",
    "Fold",
    "GELU",
    "GLU",
    "GaussianNLLLoss",
    "GeneralizedCrossEntropyLoss",
    "GeneralizedDiceLoss",
    "GeneralizedKLDivLoss",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "HingeEmbeddingLoss",
    "HingeLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "LeakyReLU",
    "LocalResponseNorm",
    "LogCoshLoss",
    "LogSigmoid",
    "LogSoftmax",
    "MAPELoss",
    "MSELoss",
    "MSLELoss",
    "MarginRankingLoss",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool",
    "Mish",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "MulticlassHingeLoss",
    "MulticlassPerceptronLoss",
    "MulticlassSparsemaxLoss",
    "NLLLoss",
    "NTXentLoss",
    "Normalize",
    "Operation",
    "Pad",
    "PairwiseDistance",
    "PerceptronLoss",
    "PixelShuffle",
    "PixelUnshuffle",
    "PoissonNLLLoss",
    "PolyCrossEntropyLoss",
    "RReLU",
    "RankingSoftmaxLoss",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "SigmoidFocalLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "SparsePlus",
    "SparseSigmoid",
    "Sparsemax",
    "SparsemaxLoss",
    "SquaredHingeLoss",
    "Squareplus",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "TripletMarginLoss",
    "TverskyLoss",
    "Unfold",
    "TripletMarginWithDistanceLoss",
    "Upsample",
    "operation",
]
