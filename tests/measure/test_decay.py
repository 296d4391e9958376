import numpy as np
import pytest
from scipy.optimize import curve_fit

from qrex.errors import InputError
from qrex.measure.decay import fit_decay


@pytest.mark.parametrize("alpha", [0.3, 0.9, 0.985, 0.9995])
@pytest.mark.parametrize("offset", [0.25, 0.5, None])
def test_exact_data_give_exact_parameters(alpha, offset):
    depths = np.array([0, 1, 4, 20, 100, 400])
    base = 0.4 if offset is None else offset
    shares = (0.9 - base) * alpha**depths + base
    fit = fit_decay(depths, shares * 1e8, [10**8] * 6, offset=offset, seed=1)
    assert 1 - fit.alpha == pytest.approx(1 - alpha, rel=2e-3)
    assert fit.amplitude == pytest.approx(0.9 - base, abs=2e-3)
    assert fit.offset == pytest.approx(base, abs=2e-3)


def test_error_is_that_of_scipys_least_squares(rng):
    depths = np.repeat([1, 10, 30, 60], 3)
    hits = rng.binomial(1000, 0.7 * 0.97**depths + 0.25)
    fit = fit_decay(depths, hits, [1000] * 12, offset=0.25, seed=1)
    share = hits / 1000
    best, covariance = curve_fit(
        lambda m, a, c: c * a**m + 0.25, depths, share, p0=(0.9, 0.7),
        sigma=np.sqrt(share * (1 - share) / 1000), absolute_sigma=True,
    )  # fmt: skip
    assert fit.alpha == pytest.approx(best[0], abs=2e-4)
    assert fit.alpha_error == pytest.approx(np.sqrt(covariance[0, 0] * fit.dispersion), rel=0.05)
    assert fit.draws.std() == pytest.approx(fit.alpha_error, rel=0.15)


@pytest.mark.parametrize(("alpha", "depths"), [(0.98, (1, 12, 40)), (0.9994, (1, 60, 200, 500))])
def test_intervals_cover(alpha, depths, rng):
    inside = 0
    for trial in range(200):
        m = np.repeat(depths, 3)
        hits = rng.binomial(1000, 0.45 * alpha**m + 0.5)
        low, high = np.percentile(
            fit_decay(m, hits, [1000] * len(m), offset=0.5, seed=trial).draws, [2.5, 97.5]
        )
        inside += low <= alpha <= high
    assert 0.91 <= inside / 200 <= 0.995


def test_scatter_between_circuits_widens_the_error(rng):
    m = np.repeat([1, 10, 30], 6)
    quiet = rng.binomial(1000, 0.7 * 0.97**m + 0.25)
    loud = np.clip(quiet + rng.normal(0, 60, len(m)), 0, 1000).astype(int)
    calm, wild = (fit_decay(m, k, [1000] * len(m), offset=0.25, seed=1) for k in (quiet, loud))
    assert calm.dispersion < 2.5 < wild.dispersion
    assert wild.alpha_error > 1.5 * calm.alpha_error


def test_covariate_takes_up_an_asymmetric_readout():
    m = np.repeat([1, 60, 200], 2)
    signs = np.tile([1.0, -1.0], 3)
    shares = 0.45 * 0.999**m + 0.5 + 0.04 * signs
    plain = fit_decay(m, shares * 1e4, [10**4] * 6, offset=0.5, seed=1)
    aware = fit_decay(m, shares * 1e4, [10**4] * 6, offset=0.5, seed=1, covariates=signs[:, None])
    assert plain.dispersion > 20
    assert aware.dispersion == 1.0
    assert 1 - aware.alpha == pytest.approx(1e-3, rel=0.02)


def test_no_decay_ends_at_one():
    fit = fit_decay([1, 10, 100], [1000] * 3, [1000] * 3, offset=0.25, seed=1)
    assert fit.alpha > 1 - 1e-5
    assert fit.draws.max() <= 1


def test_too_few_depths_are_refused():
    with pytest.raises(InputError, match="at least 2"):
        fit_decay([3, 3], [10, 10], [20, 20], offset=0.5, seed=1)
    with pytest.raises(InputError, match="at least 3"):
        fit_decay([3, 5], [10, 10], [20, 20], offset=None, seed=1)
