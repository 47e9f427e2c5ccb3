import math
from pathlib import Path

import pytest

from tfgen.errors import UsageError
from tfgen.prior.simulation.simulate_config import SimulateConfig


def config(**settings):
    return SimulateConfig(
        **{"ld": Path("ld"), "features": Path("f.h5"), "output": Path("o.tsv.gz")} | settings
    )


def test_flags_become_the_truth():
    spec = config(
        truth="linear",
        truth_features=("a", "b"),
        truth_values=(1.0, 2.0),
        sd=0.5,
        mean_f=2.0,
        seed=3,
    ).truth_spec
    assert (spec.kind, spec.features, spec.values) == ("linear", ("a", "b"), (1.0, 2.0))
    assert (spec.sd, spec.mean_f, spec.freq_exponent, spec.seed) == (0.5, 2.0, 0.7, 3)


def published_f(log_sigma, n, m, model, p):
    """The published simulation: b in units of the noise, statistics beta sqrt(N) with all of it."""
    D = math.sqrt(p * (1 - p))
    log_F = model - math.log(m) + 2 * math.log(D + 1e-7) - (min(log_sigma, 0.1) - math.log(n))
    return math.exp(log_F) * math.exp(log_sigma)


@pytest.mark.parametrize("log_sigma", [-3.0, 0.0, 1.0])
def test_the_published_scale_is_that_of_the_published_simulation(log_sigma):
    spec = config(truth_preset="published", scale="published", sigma=math.exp(log_sigma)).truth_spec
    p, model = 0.3, -5.0
    f = math.exp(model + spec.offset + spec.freq_exponent * math.log(2 * p * (1 - p)))
    assert f == pytest.approx(published_f(log_sigma, 407_527, 3_000_000, model, p), rel=1e-6)
    assert spec.mean_f == 0


def test_the_published_scale_goes_without_noise():
    offset = config(scale="published", sigma=0.0).truth_spec.offset
    assert offset == pytest.approx(math.log(407_527 / 6_000_000))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": None}, "truth enrichment needs --features"),
        ({"sigma": -1.0}, "sigma is -1.0; expected a number from 0"),
        ({"n": 0.5}, "n is 0.5; expected a number from 1"),
        ({"seed": -1}, "seed is -1"),
        ({"n_variants": 0}, "n_variants is 0"),
        ({"freq_exponent": math.nan}, "freq_exponent is nan"),
        ({"scale": "log"}, "scale is 'log'; use one of mean_f, published"),
        ({"progress": "loud"}, "progress is 'loud'"),
        ({"truth_preset": "mine"}, "truth_preset is 'mine'"),
        ({"output": Path("o.csv")}, "o.csv: unknown ending"),
        ({"truth": "model"}, "go together"),
        ({"n": 1e308}, r"n is 1e\+308; expected at most 1e\+12"),
        ({"truth": "constant", "sd": 2.0}, "sd has no use with --truth=constant; leave one"),
        ({"truth": "constant", "sd": 0.0}, "sd has no use with --truth=constant"),
        ({"truth": "constant", "truth_features": ("a",)}, "truth_features has no use with --tru"),
        ({"truth": "constant", "truth_absolute": True}, "truth_absolute has no use"),
        ({"null": True, "sd": 1.0}, "sd has no use with --null; leave one of them out"),
        ({"null": True, "truth_model": Path("p")}, "truth_model has no use with --null"),
        ({"truth": "linear", "truth_absolute": True}, "truth_absolute has no use with --truth=lin"),
        ({"truth": "ushape", "truth_thresholds": (1.0,)}, "truth_thresholds has no use"),
        (
            {"truth": "model", "truth_model": Path("p"), "truth_features": ("a",)},
            "truth_features has no use with --truth=model",
        ),
        ({"truth": "cubic"}, "truth 'cubic'; use one of constant"),
    ],
)
def test_contradictions_are_usage_errors(settings, message):
    with pytest.raises(UsageError, match=message):
        config(**settings)


def test_nothing_and_constants_need_no_features():
    assert config(features=None, null=True).null
    assert config(features=None, truth="constant").truth_spec.kind == "constant"
