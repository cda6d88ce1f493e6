"""Bessel functions and their kin.

The decompositions are those of Moshier's Cephes library with its coefficients, as PyTorch and TensorFlow have them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..op import Array, Op, op
from ..spec import floating_specs
from .elementwise import (
    abs,
    equal,
    exp,
    less,
    less_equal,
    log,
    maximum,
    minimum,
    sign,
    sqrt,
    square,
    where,
)
from .trigonometry import cos, sin

# fmt: off
_I0_NEAR = (
    -4.4153416464793395e-18, 3.3307945188222384e-17, -2.431279846547955e-16, 1.715391285555133e-15,
    -1.1685332877993451e-14, 7.676185498604936e-14, -4.856446783111929e-13, 2.95505266312964e-12,
    -1.726826291441556e-11, 9.675809035373237e-11, -5.189795601635263e-10, 2.6598237246823866e-09,
    -1.300025009986248e-08, 6.046995022541919e-08, -2.670793853940612e-07, 1.1173875391201037e-06,
    -4.4167383584587505e-06, 1.6448448070728896e-05, -5.754195010082104e-05, 0.00018850288509584165,
    -0.0005763755745385824, 0.0016394756169413357, -0.004324309995050576, 0.010546460394594998, -0.02373741480589947,
    0.04930528423967071, -0.09490109704804764, 0.17162090152220877, -0.3046826723431984, 0.6767952744094761,
)
_I0_FAR = (
    -7.233180487874754e-18, -4.830504485944182e-18, 4.46562142029676e-17, 3.461222867697461e-17,
    -2.8276239805165836e-16, -3.425485619677219e-16, 1.7725601330565263e-15, 3.8116806693526224e-15,
    -9.554846698828307e-15, -4.150569347287222e-14, 1.54008621752141e-14, 3.8527783827421426e-13,
    7.180124451383666e-13, -1.7941785315068062e-12, -1.3215811840447713e-11, -3.1499165279632416e-11,
    1.1889147107846439e-11, 4.94060238822497e-10, 3.3962320257083865e-09, 2.266668990498178e-08,
    2.0489185894690638e-07, 2.8913705208347567e-06, 6.889758346916825e-05, 0.0033691164782556943, 0.8044904110141088,
)
_I1_NEAR = (
    2.7779141127610464e-18, -2.111421214358166e-17, 1.5536319577362005e-16, -1.1055969477353862e-15,
    7.600684294735408e-15, -5.042185504727912e-14, 3.223793365945575e-13, -1.9839743977649436e-12,
    1.1736186298890901e-11, -6.663489723502027e-11, 3.625590281552117e-10, -1.8872497517228294e-09,
    9.381537386495773e-09, -4.445059128796328e-08, 2.0032947535521353e-07, -8.568720264695455e-07,
    3.4702513081376785e-06, -1.3273163656039436e-05, 4.781565107550054e-05, -0.00016176081582589674,
    0.0005122859561685758, -0.0015135724506312532, 0.004156422944312888, -0.010564084894626197, 0.024726449030626516,
    -0.05294598120809499, 0.1026436586898471, -0.17641651835783406, 0.25258718644363365,
)
_I1_FAR = (
    7.517296310842105e-18, 4.414348323071708e-18, -4.6503053684893586e-17, -3.209525921993424e-17,
    2.96262899764595e-16, 3.3082023109209285e-16, -1.8803547755107825e-15, -3.8144030724370075e-15,
    1.0420276984128802e-14, 4.272440016711951e-14, -2.1015418427726643e-14, -4.0835511110921974e-13,
    -7.198551776245908e-13, 2.0356285441470896e-12, 1.4125807436613782e-11, 3.2526035830154884e-11,
    -1.8974958123505413e-11, -5.589743462196584e-10, -3.835380385964237e-09, -2.6314688468895196e-08,
    -2.512236237870209e-07, -3.882564808877691e-06, -0.00011058893876262371, -0.009761097491361469,
    0.7785762350182801,
)
_K0_NEAR = (
    1.374465435613523e-16, 4.25981614279661e-14, 1.0349695257633842e-11, 1.904516377220209e-09,
    2.5347910790261494e-07, 2.286212103119452e-05, 0.001264615411446926, 0.0359799365153615, 0.3442898999246285,
    -0.5353273932339028,
)
_K0_FAR = (
    5.300433772686263e-18, -1.6475804301524212e-17, 5.2103915050390274e-17, -1.678231096805412e-16,
    5.512055978524319e-16, -1.848593377343779e-15, 6.3400764774050706e-15, -2.2275133269916698e-14,
    8.032890775363575e-14, -2.9800969231727303e-13, 1.140340588208475e-12, -4.514597883373944e-12,
    1.8559491149547177e-11, -7.957489244477107e-11, 3.577397281400301e-10, -1.69753450938906e-09,
    8.574034017414225e-09, -4.660489897687948e-08, 2.766813639445015e-07, -1.8317555227191195e-06,
    1.39498137188765e-05, -0.00012849549581627802, 0.0015698838857300533, -0.0314481013119645, 2.4403030820659555,
)
_K1_NEAR = (
    -7.023863479386288e-18, -2.427449850519366e-15, -6.666901694199329e-13, -1.4114883926335278e-10,
    -2.213387630734726e-08, -2.4334061415659684e-06, -0.0001730288957513052, -0.006975723859639864,
    -0.12261118082265715, -0.3531559607765449, 1.5253002273389478,
)
_K1_FAR = (
    -5.756744483665017e-18, 1.7940508731475592e-17, -5.689462558442859e-17, 1.838093544366639e-16,
    -6.057047248373319e-16, 2.038703165624334e-15, -7.019837090418314e-15, 2.4771544244813043e-14,
    -8.976705182324994e-14, 3.3484196660784293e-13, -1.2891739609510289e-12, 5.13963967348173e-12,
    -2.1299678384275683e-11, 9.218315187605006e-11, -4.1903547593418965e-10, 2.015049755197033e-09,
    -1.0345762465678097e-08, 5.7410841254500495e-08, -3.5019606030878126e-07, 2.406484947837217e-06,
    -1.936197974166083e-05, 0.00019521551847135162, -0.002857816859622779, 0.10392373657681724, 2.7206261904844427,
)
_P0 = (
    0.0007969367292973471, 0.08283523921074408, 1.239533716464143, 5.447250030587687, 8.74716500199817,
    5.303240382353949, 1.0,
)
_P0_BELOW = (
    0.0009244088105588637, 0.08562884743544745, 1.2535274390105895, 5.470977403304171, 8.761908832370695,
    5.306052882353947, 1.0,
)
_Q0 = (
    -0.011366383889846916, -1.2825271867050931, -19.553954425773597, -93.20601521237683, -177.68116798048806,
    -147.07750515495118, -51.41053267665993, -6.050143506007285,
)
_Q0_BELOW = (
    64.3178256118178, 856.4300259769806, 3882.4018360540163, 7240.467741956525, 5930.727011873169, 2062.0933166032783,
    242.0057402402914,
)
_J0 = (
    -4794432209.782018, 1956174919465.5657, -249248344360967.72, 9708622510473064.0,
)
_J0_BELOW = (
    499.563147152651, 173785.4016763747, 48440965.83399621, 11185553704.535683, 2112775201154.892, 310518229857422.56,
    3.1812195594320496e+16, 1.7108629408104315e+18,
)
_P1 = (
    0.0007621256162081731, 0.07313970569409176, 1.1271960812968493, 5.112079511468076, 8.424045901417724,
    5.214515986823615, 1.0,
)
_P1_BELOW = (
    0.0005713231280725487, 0.06884559087544954, 1.105142326340617, 5.073863861286015, 8.399855543276042,
    5.209828486823619, 1.0,
)
_Q1 = (
    0.05108625947501766, 4.982138729512334, 75.82382841325453, 366.7796093601508, 710.8563049989261,
    597.4896124006136, 211.68875710057213, 25.207020585802372,
)
_Q1_BELOW = (
    74.23732770356752, 1056.4488603826283, 4986.410583376536, 9562.318924047562, 7997.041604473507,
    2826.1927851763908, 336.0936078106983,
)
_J1 = (
    -899971225.7055594, 452228297998.19403, -72749424522181.83, 3682957328638529.0,
)
_J1_BELOW = (
    620.8364781180543, 256987.25675774884, 83514679.14319493, 22151159547.97925, 4749141220799.914, 784369607876235.9,
    8.952223361846274e+16, 5.322786203326801e+18,
)
_Y0 = (
    15592.436785523574, -14663929.59039716, 5435264770.518765, -982136065717.9115, 87590639439536.7,
    -3466283033847297.0, 4.4273326857256984e+16, -1.8495080043698668e+16,
)
_Y0_BELOW = (
    1041.2835366425984, 626107.330137135, 268919633.39381415, 86400248710.3935, 20297961275010.555,
    3171577528429750.5, 2.5059625617265306e+17,
)
_Y1 = (
    1263204747.9017804, -647355876379.1603, 114509511541823.73, -8127702555013251.0, 2.024394757135949e+17,
    -7.788771962659501e+17,
)
_Y1_BELOW = (
    594.3015923461282, 235564.09294306856, 73481194.44597217, 18760131610.870617, 3882312774962.3857,
    620557727146953.8, 6.871410873553005e+16, 3.9727060811656064e+18,
)
# fmt: on


def polynomial(x: Array, coefficients: Sequence[float]) -> Array:
    """A polynomial, its highest power first."""
    found = x * coefficients[0] + coefficients[1]
    for coefficient in coefficients[2:]:
        found = found * x + coefficient
    return found


def _chebyshev(x: Array, coefficients: Sequence[float]) -> Array:
    """A series of Chebyshev polynomials of x / 2, its highest first. Source: Clenshaw 1955."""
    older, before, last = x * 0.0, x * 0.0, x * 0.0 + coefficients[0]
    for coefficient in coefficients[1:]:
        older, before = before, last
        last = x * before - older + coefficient
    return (last - older) * 0.5


def _lower(op: Op, torch: str, *, tensorflow: bool = True) -> None:
    op.lower("torch", f"torch.special.{torch}({{x}})")
    if tensorflow:  # below 0 it gives the functions of the second kind an infinity
        op.lower("tensorflow", f"tf.math.special.{op.name}({{x}})")


# -- modified, of the first kind -------------------------------------------------------------------------------------


def _scaled(size: Array, near: Sequence[float], far: Sequence[float]) -> tuple[Array, Array]:
    """exp(-x) times the function for sizes up to 8, which is over x for I₁, and for those from there."""
    large = maximum(size, 8.0)
    return _chebyshev(minimum(size, 8.0) * 0.5 - 2.0, near), _chebyshev(32.0 / large - 2.0, far) / sqrt(large)


@op(rule=floating_specs)
def bessel_i0e(x: Array, /) -> Array:
    """exp(-|x|) I₀(x), with the modified Bessel function of the first kind. Source: torch.special.i0e."""
    near, far = _scaled(abs(x), _I0_NEAR, _I0_FAR)
    return where(less_equal(abs(x), 8.0), near, far)


@op(rule=floating_specs)
def bessel_i0(x: Array, /) -> Array:
    """I₀(x), the modified Bessel function of the first kind. Source: torch.special.i0."""
    return exp(abs(x)) * bessel_i0e(x)


@op(rule=floating_specs)
def bessel_i1e(x: Array, /) -> Array:
    """exp(-|x|) I₁(x), with the modified Bessel function of the first kind. Source: torch.special.i1e."""
    near, far = _scaled(abs(x), _I1_NEAR, _I1_FAR)
    return where(less_equal(abs(x), 8.0), near * x, far * sign(x))


@op(rule=floating_specs)
def bessel_i1(x: Array, /) -> Array:
    """I₁(x), the modified Bessel function of the first kind. Source: torch.special.i1."""
    return exp(abs(x)) * bessel_i1e(x)


for _op in (bessel_i0, bessel_i0e, bessel_i1, bessel_i1e):
    _name = _op.name.removeprefix("bessel_")
    _lower(_op, _name)
    _op.lower("jax", f"jax.scipy.special.{_name}({{x}})")


# -- modified, of the second kind ------------------------------------------------------------------------------------


def _positive(x: Array, found: Array, at_zero: float) -> Array:
    """A function of positive numbers, its limit at 0, and no number below."""
    return where(equal(x, 0.0), at_zero, where(less(x, 0.0), math.nan, found))


def _over_zero(x: Array) -> Array:
    """x where it is positive, elsewhere a number for which the function is defined."""
    return where(less_equal(x, 0.0), 1.0, x)


@op(rule=floating_specs)
def bessel_k0e(x: Array, /) -> Array:
    """exp(x) K₀(x), with the modified Bessel function of the second kind.

    Source: torch.special.scaled_modified_bessel_k0.
    """
    y = _over_zero(x)
    small, large = minimum(y, 2.0), maximum(y, 2.0)
    near = _chebyshev(square(small) - 2.0, _K0_NEAR) - log(small * 0.5) * bessel_i0(small)
    far = _chebyshev(8.0 / large - 2.0, _K0_FAR) / sqrt(large)
    return _positive(x, where(less_equal(y, 2.0), near * exp(small), far), math.inf)


@op(rule=floating_specs)
def bessel_k0(x: Array, /) -> Array:
    """K₀(x), the modified Bessel function of the second kind. Source: torch.special.modified_bessel_k0."""
    return exp(-x) * bessel_k0e(x)


@op(rule=floating_specs)
def bessel_k1e(x: Array, /) -> Array:
    """exp(x) K₁(x), with the modified Bessel function of the second kind.

    Source: torch.special.scaled_modified_bessel_k1.
    """
    y = _over_zero(x)
    small, large = minimum(y, 2.0), maximum(y, 2.0)
    near = log(small * 0.5) * bessel_i1(small) + _chebyshev(square(small) - 2.0, _K1_NEAR) / small
    far = _chebyshev(8.0 / large - 2.0, _K1_FAR) / sqrt(large)
    return _positive(x, where(less_equal(y, 2.0), near * exp(small), far), math.inf)


@op(rule=floating_specs)
def bessel_k1(x: Array, /) -> Array:
    """K₁(x), the modified Bessel function of the second kind. Source: torch.special.modified_bessel_k1."""
    return exp(-x) * bessel_k1e(x)


for _op in (bessel_k0, bessel_k1):
    _lower(_op, f"modified_{_op.name}", tensorflow=False)
for _op in (bessel_k0e, bessel_k1e):
    _lower(_op, f"scaled_modified_{_op.name[:-1]}", tensorflow=False)


# -- of the first and second kind ------------------------------------------------------------------------------------


def _wave(x: Array, shift: float, tables: Sequence[Sequence[float]]) -> tuple[Array, Array]:
    """Both kinds for x > 5: a cosine and a sine whose sizes and phase go with 1/x."""
    p, p_below, q, q_below = tables
    x = maximum(x, 5.0)
    z = square(5.0 / x)
    even, odd = polynomial(z, p) / polynomial(z, p_below), 5.0 / x * (polynomial(z, q) / polynomial(z, q_below))
    size = math.sqrt(2 / math.pi) / sqrt(x)
    cosine, sine = cos(x - shift), sin(x - shift)
    return (even * cosine - odd * sine) * size, (even * sine + odd * cosine) * size


_WAVE_0 = (math.pi / 4, (_P0, _P0_BELOW, _Q0, _Q0_BELOW))
_WAVE_1 = (3 * math.pi / 4, (_P1, _P1_BELOW, _Q1, _Q1_BELOW))


@op(rule=floating_specs)
def bessel_j0(x: Array, /) -> Array:
    """J₀(x), the Bessel function of the first kind. Source: torch.special.bessel_j0."""
    size = abs(x)
    z = square(minimum(size, 5.0))
    zeros = (z - 5.78318596294678452118) * (z - 30.4712623436620863991)
    near = zeros * polynomial(z, _J0) / polynomial(z, _J0_BELOW)
    return where(less_equal(size, 5.0), near, _wave(size, *_WAVE_0)[0])


@op(rule=floating_specs)
def bessel_j1(x: Array, /) -> Array:
    """J₁(x), the Bessel function of the first kind. Source: torch.special.bessel_j1."""
    size = abs(x)
    z = square(minimum(size, 5.0))
    zeros = (z - 14.6819706421238932572) * (z - 49.2184563216946036703)
    near = zeros * polynomial(z, _J1) / polynomial(z, _J1_BELOW)
    return where(less_equal(size, 5.0), near * x, _wave(size, *_WAVE_1)[0] * sign(x))


@op(rule=floating_specs)
def bessel_y0(x: Array, /) -> Array:
    """Y₀(x), the Bessel function of the second kind. Source: torch.special.bessel_y0."""
    y = _over_zero(x)
    small = minimum(y, 5.0)
    z = square(small)
    near = polynomial(z, _Y0) / polynomial(z, _Y0_BELOW) + 2 / math.pi * log(small) * bessel_j0(small)
    return _positive(x, where(less_equal(y, 5.0), near, _wave(y, *_WAVE_0)[1]), -math.inf)


@op(rule=floating_specs)
def bessel_y1(x: Array, /) -> Array:
    """Y₁(x), the Bessel function of the second kind. Source: torch.special.bessel_y1."""
    y = _over_zero(x)
    small = minimum(y, 5.0)
    z = square(small)
    near = small * (polynomial(z, _Y1) / polynomial(z, _Y1_BELOW))
    near = near + 2 / math.pi * (bessel_j1(small) * log(small) - 1.0 / small)
    return _positive(x, where(less_equal(y, 5.0), near, _wave(y, *_WAVE_1)[1]), -math.inf)


for _op in (bessel_j0, bessel_j1):
    _lower(_op, _op.name)
for _op in (bessel_y0, bessel_y1):
    _lower(_op, _op.name, tensorflow=False)
