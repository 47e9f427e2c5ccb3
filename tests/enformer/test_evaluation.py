"""Predictions from base codes, and their correlation with coverage."""

import numpy as np
import pytest

from enformer.training_toys import TABLE, contig, tiny_config, tiny_model
from tfgen.enformer.evaluation import Predictor, evaluate
from tfgen.enformer.sampling import tiled_batches
from tfgen.errors import UsageError


def test_a_prediction_is_that_of_the_model():
    model = tiny_model()
    codes = contig().codes[:1536].reshape(3, 512)
    predict = Predictor(model, "human", TABLE)
    expected = model(TABLE[codes], is_training=False)["human"]
    np.testing.assert_allclose(predict(codes), expected, rtol=1e-5)
    np.testing.assert_allclose(predict(codes[:1]), expected[:1], rtol=1e-5)


def test_changed_weights_show():
    model = tiny_model()
    predict = Predictor(model, "human", TABLE)
    codes = contig().codes[:512][np.newaxis]
    before = predict(codes)
    model.heads["human"].b.assign_add([1.0, 1.0, 1.0])
    assert (predict(codes) > before).all()


def test_the_correlation_is_over_all_bins_of_all_batches():
    model, config = tiny_model(), tiny_config()
    predict = Predictor(model, "human", TABLE)
    batches = list(tiled_batches([contig(n_bins=41)], config, 4))
    found = evaluate(predict, batches)
    codes, targets = (
        np.concatenate([getattr(b, n) for b in batches]) for n in ("codes", "targets")
    )
    predicted = predict(codes)
    expected = [
        np.corrcoef(predicted[..., t].ravel(), targets[..., t].ravel())[0, 1] for t in range(3)
    ]
    np.testing.assert_allclose(found.r, expected, rtol=1e-5)
    assert found.count == targets[..., 0].size


def test_an_unknown_head_is_refused():
    with pytest.raises(UsageError, match="no head is called 'yeast'"):
        Predictor(tiny_model(), "yeast", TABLE)
