"""Windows, and the short-time Fourier transform."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from ...errors import ShapeError
from ..dims import Size, floordiv
from ..op import Array, DType, op
from ..spec import Spec, spec_of
from .creation import arange, created, full
from .elementwise import astype
from .fourier import fft, irfft, rfft
from .indexing import at_add, getitem, take
from .shape import pad, reshape, transpose

# -- windows ---------------------------------------------------------------------------------------------------------


def _window_spec(*, size: int, dtype: str, **_: Any) -> Spec:
    if size < 0:
        raise ShapeError(f"expected a size of 0 or more, received {size}")
    return Spec((size,), dtype)


@op(rule=_window_spec, primitive=True, strict=True)
def hann_window(*, size: int, periodic: bool = True, dtype: DType = "float32") -> Array:
    """½ - ½ cos(2π i / N), with N = size where periodic (for spectra), else size - 1 (symmetric, for filters)."""


@op(rule=_window_spec, primitive=True, strict=True)
def hamming_window(*, size: int, periodic: bool = True, dtype: DType = "float32") -> Array:
    """0.54 - 0.46 cos(2π i / N), with the N of `hann_window`."""


@op(rule=_window_spec, primitive=True, strict=True)
def blackman_window(*, size: int, periodic: bool = True, dtype: DType = "float32") -> Array:
    """0.42 - 0.5 cos(2π i / N) + 0.08 cos(4π i / N), with the N of `hann_window`."""


@op(rule=_window_spec, primitive=True, strict=True)
def bartlett_window(*, size: int, periodic: bool = True, dtype: DType = "float32") -> Array:
    """1 - |2 i / N - 1|, with the N of `hann_window`."""


@op(rule=_window_spec, primitive=True, strict=True)
def kaiser_window(*, size: int, beta: float = 12.0, periodic: bool = True, dtype: DType = "float32") -> Array:
    """I₀(beta · √(1 - (2 i / N - 1)²)) / I₀(beta), with the N of `hann_window`. Source: Kaiser & Schafer 1980."""


@op(rule=_window_spec, primitive=True, strict=True)
def gaussian_window(*, size: int, std: float, periodic: bool = True, dtype: DType = "float32") -> Array:
    """exp(-½ ((i - N / 2) / std)²), with the N of `hann_window`. Source: torch.signal.windows.gaussian."""


def _periodic(n: SimpleNamespace) -> bool:
    return n.periodic


def _derived(n: SimpleNamespace) -> Mapping[str, Any]:
    return {"longer": n.size + 1, "middle": (n.size if n.periodic else n.size - 1) / 2, "symmetric": not n.periodic}


for _op, _name, _more in (
    (hann_window, "hanning", ""),
    (hamming_window, "hamming", ""),
    (blackman_window, "blackman", ""),
    (bartlett_window, "bartlett", ""),
    (kaiser_window, "kaiser", ", {beta}"),
):
    for _framework, _prefix in (
        ("numpy", "np"),
        ("jax", "jnp"),
    ):  # symmetric: a periodic one is cut out of a longer one
        _op.lower(
            _framework,
            f"{_prefix}.{_name}({{longer}}{_more})[:-1].astype({{dtype}})",
            when=_periodic,
            derive=_derived,
        )
        _op.lower(_framework, f"{_prefix}.{_name}({{size}}{_more}).astype({{dtype}})")
    _periods = "{periodic}, {beta}" if _more else "periodic={periodic:True}"
    _op.lower(
        "torch",
        f"torch.{_op.name}({{size}}, {_periods}, dtype={{dtype:torch.float32}}, device={{device}})",
    )
for _op in (hann_window, hamming_window):  # of odd size, TensorFlow's periodic windows are symmetric
    _op.lower(
        "tensorflow",
        f"tf.signal.{_op.name}({{longer}}, periodic=False, dtype={{dtype:tf.float32}})[:-1]",
        when=lambda n: n.periodic and n.size % 2 == 1,
        derive=_derived,
    )
    _op.lower("tensorflow", f"tf.signal.{_op.name}({{size}}, periodic={{periodic:True}}, dtype={{dtype:tf.float32}})")
for _op in (blackman_window, bartlett_window):
    _op.lower("tensorflow", f"support.{_op.name}({{size}}, periodic={{periodic:True}}, dtype={{dtype:tf.float32}})")
kaiser_window.lower(
    "tensorflow",
    "tf.signal.kaiser_window({longer}, beta={beta}, dtype={dtype:tf.float32})[:-1]",
    when=_periodic,
    derive=_derived,
)
kaiser_window.lower("tensorflow", "tf.signal.kaiser_window({size}, beta={beta}, dtype={dtype:tf.float32})")
gaussian_window.lower(
    "torch",
    "torch.signal.windows.gaussian({size}, std={std}, sym={symmetric:True}, dtype={dtype}, device={device})",
    derive=_derived,
)
for _framework, _prefix in (("numpy", "np"), ("jax", "jnp")):
    gaussian_window.lower(
        _framework,
        f"{_prefix}.exp(-0.5 * (({_prefix}.arange({{size}}, dtype={{dtype}}) - {{middle}}) / {{std}}) ** 2)",
        derive=_derived,
    )
gaussian_window.lower(
    "tensorflow",
    "tf.exp(-0.5 * ((tf.range({size}, dtype={dtype}) - {middle}) / {std}) ** 2)",
    derive=_derived,
)


# -- short-time Fourier transform ------------------------------------------------------------------------------------

_COMPLEX = {"float32": "complex64", "float64": "complex128"}
_REAL = {value: key for key, value in _COMPLEX.items()}
_FULL = (None, None, None)


def _hop(hop_length: int | None, n_fft: int) -> int:
    return n_fft // 4 if hop_length is None else hop_length


def _check(window: Spec, n_fft: int, hop_length: int | None, dtype: str) -> None:
    size = window.shape[0] if window.ndim == 1 else None
    if not isinstance(size, int) or size > n_fft or window.dtype != dtype:
        raise ShapeError(f"expected a window of {dtype} with at most {n_fft} elements, received {window}")
    if _hop(hop_length, n_fft) < 1:
        raise ShapeError(f"expected a hop of 1 or more, received {hop_length}")


def _stft_spec(
    x: Spec,
    window: Spec,
    *,
    n_fft: int,
    hop_length: int | None = None,
    center: bool = True,
    onesided: bool = True,
    **_: Any,
) -> Spec:
    if x.ndim not in (1, 2) or x.dtype not in _COMPLEX:
        raise ShapeError(f"expected (time,) or (batch, time) of float32 or float64, received {x}")
    _check(window, n_fft, hop_length, x.dtype)
    time = x.shape[-1] + 2 * (n_fft // 2) * center
    frames = floordiv(time - n_fft, _hop(hop_length, n_fft)) + 1
    return Spec((*x.shape[:-1], n_fft // 2 + 1 if onesided else n_fft, frames), _COMPLEX[x.dtype])


@op(rule=_stft_spec, strict=True)
def stft(
    x: Array,
    window: Array,
    /,
    *,
    n_fft: int,
    hop_length: int | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool = True,
) -> Array:
    """The Fourier transforms of overlapping frames of a signal.

    Args:
        x: (time,) or (batch, time), real.
        window: (n,), at most n_fft; what is shorter stands in the middle of zeros.
        n_fft: the length of a frame.
        hop_length: from one frame to the next; n_fft // 4 where None.
        center: whether frame i has its middle at i · hop_length, for which x is padded by n_fft // 2 on both sides.
        pad_mode: how, in the words of `pad`.
        normalized: whether the result is divided by √n_fft.
        onesided: the first n_fft // 2 + 1 frequencies, of which the others are conjugates, or all.

    Returns:
        (..., frequencies, frames), complex.

    Source: torch.stft.
    """
    frames = _stft_spec(
        spec_of(x), spec_of(window), n_fft=n_fft, hop_length=hop_length, center=center, onesided=onesided
    ).shape[-1]
    ndim = spec_of(x).ndim
    if center:
        x = pad(x, padding=((0, 0),) * (ndim - 1) + ((n_fft // 2, n_fft // 2),), mode=pad_mode)
    parts = take(x, _places(x, frames, n_fft, _hop(hop_length, n_fft)), axis=-1) * _centred(window, n_fft)
    if onesided:
        y = rfft(parts)
    else:
        y = fft(astype(parts, dtype=_COMPLEX[spec_of(x).dtype]))
    y = transpose(y, axes=(*range(ndim - 1), ndim, ndim - 1))
    return y * n_fft**-0.5 if normalized else y


def _places(like: Array, frames: Size, n_fft: int, hop: int) -> Array:
    """The places of each frame's elements: (frames, n_fft)."""
    starts = created(arange, like, stop=frames, dtype="int32") * hop
    return reshape(starts, shape=(frames, 1)) + created(arange, like, stop=n_fft, dtype="int32")


def _centred(window: Array, n_fft: int) -> Array:
    missing = n_fft - int(spec_of(window).shape[0])
    return pad(window, padding=((missing // 2, missing - missing // 2),)) if missing else window


def _istft_spec(
    x: Spec,
    window: Spec,
    *,
    n_fft: int,
    hop_length: int | None = None,
    center: bool = True,
    onesided: bool = True,
    length: int | None = None,
    **_: Any,
) -> Spec:
    if x.ndim not in (2, 3) or x.dtype not in _REAL or x.shape[-2] != (n_fft // 2 + 1 if onesided else n_fft):
        raise ShapeError(f"expected complex (..., frequencies, frames) for frames of {n_fft}, received {x}")
    _check(window, n_fft, hop_length, _REAL[x.dtype])
    time = n_fft + _hop(hop_length, n_fft) * (x.shape[-1] - 1) - 2 * (n_fft // 2) * center
    return Spec((*x.shape[:-2], time if length is None else length), _REAL[x.dtype])


@op(rule=_istft_spec, strict=True)
def istft(
    x: Array,
    window: Array,
    /,
    *,
    n_fft: int,
    hop_length: int | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool = True,
    length: int | None = None,
) -> Array:
    """The signal whose `stft` is nearest to x.

    Args:
        x: (frequencies, frames) or (batch, frequencies, frames), complex.
        window: the window of `stft`, which with its hops leaves no element of the signal out.
        n_fft: the length of a frame.
        hop_length: from one frame to the next; n_fft // 4 where None.
        center: as for `stft`.
        normalized: as for `stft`.
        onesided: as for `stft`; of all frequencies the second half is not looked at.
        length: of the signal, at most what the frames reach; that much where None.

    Source: Griffin & Lim 1984; torch.istft.
    """
    spec, hop = spec_of(x), _hop(hop_length, n_fft)
    lead, frames = spec.shape[:-2], spec.shape[-1]
    ndim = len(lead)
    parts = transpose(x, axes=(*range(ndim), ndim + 1, ndim))
    if not onesided:
        parts = getitem(parts, key=(*(_FULL,) * (ndim + 1), (0, n_fft // 2 + 1, None)))
    parts = irfft(parts, n=n_fft)
    window = _centred(window, n_fft)
    parts = parts * window * (n_fft**0.5 if normalized else 1.0)
    places = _places(x, frames, n_fft, hop)
    reach, dtype = n_fft + hop * (frames - 1), _REAL[spec.dtype]
    zeros = created(full, x, shape=(*lead, reach), fill_value=0, dtype=dtype)
    total = at_add(zeros, [*[None] * ndim, places], parts)
    squares = created(full, x, shape=(frames, 1), fill_value=1, dtype=dtype) * (window * window)
    weight = at_add(created(full, x, shape=(reach,), fill_value=0, dtype=dtype), [places], squares)
    start = n_fft // 2 if center else 0
    stop = reach - start if length is None else start + length
    return getitem(total, key=(*(_FULL,) * ndim, (start, stop, None))) / getitem(weight, key=((start, stop, None),))


def _torch_words(n: SimpleNamespace) -> Mapping[str, Any]:
    size = n.window.shape[0]
    modes = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    return {
        "win_length": None if size == n.n_fft else size,
        "pad_mode": modes[getattr(n, "pad_mode", "reflect")],
    }


_FRAMES = (
    "{x}, {n_fft}, hop_length={hop_length}, win_length={win_length}, window={window}, center={center:True},"
    " normalized={normalized:False}, onesided={onesided}"
)
stft.lower("torch", f"torch.stft({_FRAMES}, pad_mode={{pad_mode:'reflect'}}, return_complex=True)", derive=_torch_words)
istft.lower("torch", f"torch.istft({_FRAMES}, length={{length}})", derive=_torch_words)
