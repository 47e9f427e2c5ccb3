import json
import shutil

import numpy as np
import pytest

from prior import prior_toys
from prior.feature_files import table
from prior.features.test_feature_store import Arrays
from prior.trained_toys import Rows, joined, shared_study, train
from tfgen.errors import InputFormatError, InputMismatchError, UsageError
from tfgen.prior.features.feature_store import FeatureSchema, FeatureStore, write_feature_store
from tfgen.prior.heads.saved_prior import load_saved_prior, prior_card, save_prior
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.outputs.trained_prior import FINAL, FOLDS, IN_SAMPLE, MEAN, TrainedPrior
from tfgen.prior.training.disk_blocks import DiskBlocks
from tfgen.prior.training.prior_folder import PriorFold, PriorIndex
from tfgen.prior.training.traits import parse_traits, read_traits


@pytest.fixture(scope="module")
def study():
    return shared_study()


@pytest.fixture(scope="module")
def crossed(study):
    return train(study, "crossed")


@pytest.fixture
def features(study):
    with FeatureStore(study.features) as store:
        yield store


@pytest.fixture
def block(study, features):
    with LdStore(study.ld) as store:
        traits = read_traits(store, parse_traits(study.traits()))
        yield DiskBlocks(store, features, traits).read(5)


def test_a_block_gets_the_model_that_never_saw_it(crossed, features, block):
    prior = TrainedPrior(crossed, features, micro_batch=7)
    assert block.id.startswith("chr21_")
    assert prior.fold(block.id) == "chr21"
    model = load_saved_prior(crossed / "folds" / "chr21")
    expected = model.log_f(block.annotations, None, block.frequency)
    np.testing.assert_allclose(prior.log_f(block), expected, rtol=1e-6, atol=1e-6)
    assert prior.sigma(block.id) == model.card.sigma


def test_columns_are_chosen_by_name(study, crossed, block, tmp_path):
    order = [2, 0, 1]
    names = tuple(("dhs", "noise", "gaps")[i] for i in order)
    variants = joined([b.variants for b in study.blocks])
    rows = Rows(np.zeros((len(variants), 4), np.float32))
    schema = FeatureSchema((*names, "unused"), run_digest="y")
    write_feature_store(tmp_path / "other.h5", schema, variants, rows)
    extended = np.concatenate([block.annotations[:, order], np.ones((block.n, 1))], axis=1)
    shuffled = type(block)(**{**vars(block), "annotations": extended.astype(np.float32)})
    with FeatureStore(tmp_path / "other.h5") as other, FeatureStore(study.features) as same:
        prior = TrainedPrior(crossed, other)
        expected = TrainedPrior(crossed, same).log_f(block)
        np.testing.assert_array_equal(prior.log_f(shuffled), expected)
        assert prior.warnings == [
            f"{tmp_path / 'other.h5'}: is not the feature store of the training; its columns are "
            "taken by name"
        ]


def test_without_a_fold_it_is_the_mean_of_all_when_asked_for(study, crossed, features, block):
    prior = TrainedPrior(crossed, features)
    stranger = type(block)(**{**vars(block), "id": "chr9_0_1"})
    with pytest.raises(UsageError, match="every model was fitted to block chr9_0_1.*--in_sample"):
        prior.log_f(stranger)
    assert prior.fold("chr9_0_1", in_sample=True) == MEAN
    models = [load_saved_prior(crossed / "folds" / name) for name in prior.folds]
    values = [model.log_f(block.annotations, None, block.frequency) for model in models]
    found = prior.log_f(stranger, in_sample=True)
    np.testing.assert_allclose(found, np.mean(values, axis=0), rtol=1e-5)
    sigmas = np.array([model.card.sigma for model in models])
    expected = np.exp(np.log(sigmas).mean(axis=0))
    np.testing.assert_allclose(prior.sigma("chr9_0_1", in_sample=True), expected)


def test_a_block_kept_out_of_every_fold_gets_their_mean(study, features, block):
    prior = TrainedPrior(train(study, "without_21", test_chrom=("21",)), features)
    assert prior.folds == ("chr20", "chr22")
    assert [prior.test_of(name) for name in (block.id, "chr20_0_600", "chr9_0_1")] == [
        FINAL,
        FOLDS,
        IN_SAMPLE,
    ]
    assert (prior.fold(block.id), prior.fold("chr20_0_600")) == (MEAN, "chr20")
    models = [load_saved_prior(prior.folder / "folds" / name) for name in prior.folds]
    values = [model.log_f(block.annotations, None, block.frequency) for model in models]
    np.testing.assert_allclose(prior.log_f(block), np.mean(values, axis=0), rtol=1e-5, atol=1e-6)
    expected = np.exp(np.mean([np.log(model.card.sigma) for model in models], axis=0))
    np.testing.assert_allclose(prior.sigma(block.id), expected)


def test_a_single_model_knows_every_block(study, features, block):
    prior = TrainedPrior(train(study, "single", folds="none"), features)
    assert prior.folds == ("all",)
    with pytest.raises(UsageError, match="--in_sample"):
        prior.sigma(block.id)
    assert prior.log_f(block, in_sample=True).shape == (block.n, 1)


def test_traits_are_found_by_name(study, features):
    prior = TrainedPrior(train(study, "both", traits=("bmi", "height")), features)
    assert prior.trait_columns(["height"]) == [1]
    with pytest.raises(UsageError, match="has no 'weight', only bmi, height"):
        prior.trait_columns(["weight"])


def test_tracks_are_chosen_by_name(tmp_path):
    """A prior saved by hand; the store has its tracks in another order and one more."""
    model = prior_toys.prior("mlp")
    card = prior_card(model, (1.0, 0.8))
    (tmp_path / "prior" / "folds").mkdir(parents=True)
    save_prior(model, tmp_path / "prior" / "folds" / "all", card)
    index = PriorIndex(prior_toys.TRAITS, "GRCh37", "", "", (PriorFold("all", ("b",)),))
    (tmp_path / "prior" / "prior.json").write_text(json.dumps(index.to_json()))
    inputs = prior_toys.features(9)
    track = inputs["tracks"]
    stored = np.stack([track[..., 1], 0 * track[..., 0], track[..., 0]], axis=2)
    variants = table(*(f"1:{i + 1}:A:C" for i in range(9)))
    names = (prior_toys.SHAPE.track_names[1], "unused", prior_toys.SHAPE.track_names[0])
    schema = FeatureSchema(
        prior_toys.SHAPE.annotation_names,
        track_names=names,
        bins=tuple((i, i + 1) for i in range(prior_toys.SHAPE.length)),
        run_digest="t",
    )
    rows = Arrays(annotations=inputs["annotations"], tracks=stored)
    write_feature_store(tmp_path / "t.h5", schema, variants, rows)
    with FeatureStore(tmp_path / "t.h5") as store:
        prior = TrainedPrior(tmp_path / "prior", store, micro_batch=4)
        found = prior.log_f_by_fold(store.read(slice(0, 9)), inputs["frequency"])
    half = track.astype(np.float16).astype(np.float32)
    expected = np.asarray(model({**inputs, "tracks": half}))
    np.testing.assert_allclose(found[0], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(prior.sigma("b"), (1.0, 0.8))


def test_features_missing_for_the_first_time_are_counted(crossed, features, block):
    prior = TrainedPrior(crossed, features)
    annotations = block.annotations.copy()
    annotations[:3, 0] = np.nan
    prior.log_f(type(block)(**{**vars(block), "annotations": annotations}))
    assert prior.filled() == {"dhs": 3}


def test_a_prior_without_features_needs_none(study, block):
    prior = TrainedPrior(train(study, "constant", features=False))
    assert not prior.needs_features
    assert prior.needs_frequency
    empty = type(block)(**{**vars(block), "annotations": np.zeros((block.n, 0), np.float32)})
    log_f = prior.log_f(empty)[:, 0]
    term = 0.7 * np.log(2 * block.frequency * (1 - block.frequency))
    np.testing.assert_allclose(log_f - term, (log_f - term)[0], rtol=1e-5)


def test_features_that_are_needed_must_be_there(crossed, study, tmp_path):
    with pytest.raises(UsageError, match="reads 3 annotations and 0 tracks; give --features"):
        TrainedPrior(crossed)
    variants = joined([b.variants for b in study.blocks])
    schema = FeatureSchema(("dhs",), run_digest="z")
    rows = Rows(np.zeros((len(variants), 1), np.float32))
    write_feature_store(tmp_path / "few.h5", schema, variants, rows)
    with (
        FeatureStore(tmp_path / "few.h5") as few,
        pytest.raises(InputMismatchError, match="2 of the 3 annotations .* noise, gaps"),
    ):
        TrainedPrior(crossed, few)


def test_folders_that_are_no_prior_are_refused(crossed, features, tmp_path):
    with pytest.raises(InputFormatError, match=r"prior\.json: cannot be read"):
        TrainedPrior(tmp_path, features)
    copy = tmp_path / "copy"
    shutil.copytree(crossed, copy)
    index = json.loads((copy / "prior.json").read_text())
    index["traits"][0]["n_eff"] = 5.0
    (copy / "prior.json").write_text(json.dumps(index))
    with pytest.raises(InputMismatchError, match="is not of the traits and features"):
        TrainedPrior(copy, features)
    index["folds"] = []
    (copy / "prior.json").write_text(json.dumps(index))
    with pytest.raises(InputMismatchError, match="has no models"):
        TrainedPrior(copy, features)
