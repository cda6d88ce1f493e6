"""SciPy and scikit-learn over `engine.Array`, each framework in a process of its own, against themselves over NumPy."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

_PROGRAM = """
import importlib, sys, warnings
import numpy as np
import scipy.cluster.vq, scipy.fft, scipy.integrate, scipy.ndimage, scipy.signal, scipy.special, scipy.stats, sklearn
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.preprocessing import MinMaxScaler

warnings.simplefilter("ignore")
xp = importlib.import_module("ivyhub.engine.xp." + sys.argv[1])
rng = np.random.default_rng(int(sys.argv[2]))
matrix, vector = rng.uniform(0.1, 0.9, (20, 4)).astype("float32"), rng.uniform(0.1, 0.9, 20).astype("float32")
functions = (
    *(lambda x, v, f=f: f(x) for f in (scipy.special.expit, scipy.special.gammaln, scipy.special.ndtr)),
    *(lambda x, v, f=f: f(x, axis=1) for f in (scipy.special.logsumexp, scipy.special.softmax, scipy.stats.zscore)),
    *(lambda x, v, f=f: f(v) for f in (scipy.stats.skew, scipy.stats.gmean, scipy.stats.entropy, scipy.fft.dct)),
    lambda x, v: scipy.stats.ttest_ind(v, x[:, 0]).statistic,
    lambda x, v: scipy.stats.pearsonr(v, v * v).statistic,
    lambda x, v: scipy.signal.fftconvolve(v, v),
    lambda x, v: scipy.signal.detrend(v),
    lambda x, v: scipy.cluster.vq.whiten(x),
    lambda x, v: scipy.ndimage.gaussian_filter(x, 1.0),
    lambda x, v: scipy.integrate.trapezoid(v),
    lambda x, v: abs(PCA(2, svd_solver="full").fit(x).transform(x)),
    lambda x, v: Ridge(solver="svd").fit(x, v).predict(x),
    lambda x, v: MinMaxScaler().fit_transform(x),
    lambda x, v: mean_squared_error(v, v * v),
    lambda x, v: r2_score(v, v * v),
)
for i, function in enumerate(functions):
    with sklearn.config_context(array_api_dispatch=True):
        found = function(xp.asarray(matrix), xp.asarray(vector))
    if not isinstance(found, float):
        assert found.framework == sys.argv[1], (i, type(found))
    # float32 through sums and transforms of some tens of numbers
    np.testing.assert_allclose(np.asarray(found), np.asarray(function(matrix, vector)), rtol=2e-3, atol=2e-4, err_msg=i)
print(len(functions))
"""


@pytest.mark.slow
def test_functions_of_scipy_and_scikit_learn(framework: str, rng: np.random.Generator) -> None:
    seed = str(rng.integers(2**32))
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, framework, seed],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-1] == "22"
