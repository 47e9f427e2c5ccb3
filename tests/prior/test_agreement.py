"""Cholesky, conjugate gradients and EM lead to the same prior, and say where they have not.

A linear prior on 24 panels of 80 people with 100 variants, its truth linear too. Each way starts
from the same parameters and is scored afterwards by exact Cholesky in float64.
"""

import numpy as np
import pytest
import tensorflow as tf

from prior.small_fits import draw, make_model
from tfgen.prior.evaluation import score_blocks
from tfgen.prior.linear_fit import fit_log_linear
from tfgen.prior.training.em import EmFit
from tfgen.prior.training.fit import Fit
from tfgen.prior.training.fit_loop import FitData
from tfgen.prior.training.fit_options import FitOptions
from tfgen.prior.training.fit_state import CONVERGED_GAIN, gain_to_come

N_BLOCKS, N = 24, 100
TOLERANCE = 1e-3  # of the log-likelihood ratio

GRADIENTS = {"epochs": 80, "blocks_per_step": 8, "learning_rate": 0.03}
CG = {"solver": "cg", "cg_probes": 32, "cg_tolerance": 1e-3}
EM = {"objective": "em", "em_epochs": 5, "em_batch": N_BLOCKS * N, "learning_rate": 0.03}


@pytest.fixture(scope="module", params=[0.2, 2.0])
def problem(request):
    """Blocks, their mean f, and the best log-likelihood ratio that a linear prior can have."""
    mean_f = request.param
    source = draw(N_BLOCKS, N, people=80, seed=7, logf=lambda x: np.log(mean_f) + x[:, 0])
    blocks, designs, null = [], [], 0.0
    for i in range(N_BLOCKS):
        block = source.read(i)
        rows = block.traits[0]
        blocks.append((rows.q, rows.y))
        designs.append(np.column_stack([np.ones(N), block.annotations]))
        null += 0.5 * (rows.y @ rows.y + len(rows.y) * np.log(2 * np.pi))
    best = fit_log_linear(blocks, designs, start=[np.log(mean_f), 0, 0, 0])
    assert best.converged
    return source, mean_f, null - best.nll


def fitted(problem, **options):
    """The result of a fit, and the exact log-likelihood ratio of its prior."""
    source, mean_f, _ = problem
    model = make_model(source)
    model.set_start(mean_f)
    settings = FitOptions(patience=0, **options)
    data = FitData(source, tuple(range(N_BLOCKS)), (), (1.0,))
    log_sigma = tf.Variable([0.0])
    if settings.objective == "em":
        result = EmFit(model, log_sigma, data, settings, own_loop=True).run()
    else:
        result = Fit(model, log_sigma, data, settings).run()
    scores = score_blocks(source, range(N_BLOCKS), lambda b: model(b.inputs()).numpy(), [0.0])
    return result, float(scores.null.sum() - scores.nll.sum())


@pytest.mark.slow
def test_cholesky_conjugate_gradients_and_em_agree(problem):
    source, mean_f, best = problem
    start = make_model(source)
    start.set_start(mean_f)
    scores = score_blocks(source, range(N_BLOCKS), lambda b: start(b.inputs()).numpy(), [0.0])
    at_start = float(scores.null.sum() - scores.nll.sum())
    assert at_start < (1 - 20 * TOLERANCE) * best  # there is something to find
    em_rounds = {0.2: 150, 2.0: 60}[mean_f]
    ways = {"chol": GRADIENTS, "cg": GRADIENTS | CG, "em": EM | {"epochs": em_rounds}}
    for name, options in ways.items():
        result, llr = fitted(problem, **options)
        assert result.solver == ("cg" if name == "cg" else "chol")
        assert result.converged, name
        # No way can beat the optimum that Fisher scoring finds.
        assert (1 - TOLERANCE) * best <= llr <= best + 1e-4, name


@pytest.mark.slow
def test_em_that_has_not_converged_says_so(problem):
    _, _, best = problem
    result, llr = fitted(problem, **EM | {"epochs": 8})
    assert llr < (1 - TOLERANCE) * best
    assert not result.converged
    # It is no false alarm, and the estimate of what is missing is of the right size.
    training = [record.training for record in result.records]
    missing = (best - llr) / (N_BLOCKS * N) * 1000
    assert gain_to_come(training) > CONVERGED_GAIN
    assert missing > CONVERGED_GAIN


@pytest.mark.slow
def test_the_gain_to_come_of_slow_em_is_foreseen():
    # At small f nearly all information is missing: each round gains little, for very long.
    source = draw(N_BLOCKS, N, people=80, seed=7, logf=lambda x: np.log(0.2) + x[:, 0])
    problem = source, 0.2, None
    result, llr = fitted(problem, **EM | {"epochs": 40, "em_epochs": 3})
    _, best = fitted(problem, **GRADIENTS)
    training = [record.training for record in result.records]
    missing = (best - llr) / (N_BLOCKS * N) * 1000
    last_gain = 1000 * (training[-2] - training[-1])
    assert last_gain < missing / 5
    assert gain_to_come(training) == pytest.approx(missing, rel=0.6)
