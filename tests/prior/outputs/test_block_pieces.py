import json

import numpy as np
import pytest

from prior.trained_toys import shared_study, train
from tfgen.errors import OutputError
from tfgen.io.pieces import PartialRun
from tfgen.prior.features.feature_store import FeatureStore
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.outputs.block_pieces import BlockPieces, partial_run
from tfgen.prior.outputs.trained_prior import TrainedPrior


class Source:
    """Blocks of which every other variant has no features."""

    n_without_features = 0
    reads = 0

    def read(self, index):
        self.n_without_features += 2 * index
        self.reads += 1
        return index


def compute(index):
    return {"x": np.arange(index + 1.0), "0.y": np.float64(np.pi * index)}


def ask(pieces, n=3):
    return [pieces.get(index, compute) for index in range(n)]


def test_nothing_is_kept_unless_asked_for(tmp_path):
    source = Source()
    pieces = BlockPieces(source)
    found = ask(pieces)
    np.testing.assert_equal(found, [compute(i) for i in range(3)])
    assert (pieces.n_without_features, pieces.n_resumed) == (6, 0)


def test_what_a_former_run_kept_is_read_and_nothing_else(tmp_path):
    ask(BlockPieces(Source(), PartialRun(tmp_path / "out", {"a": 1})), 2)
    source = Source()
    pieces = BlockPieces(source, PartialRun(tmp_path / "out", {"a": 1}))
    found = ask(pieces)
    assert (source.reads, pieces.n_resumed, pieces.n_without_features) == (1, 2, 6)
    for one, other in zip(found, (compute(i) for i in range(3)), strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_the_work_of_other_settings_is_left_alone(tmp_path):
    ask(BlockPieces(Source(), PartialRun(tmp_path / "out", {"a": 1})))
    with pytest.raises(OutputError, match="other settings .a was 1, now 2"):
        BlockPieces(Source(), PartialRun(tmp_path / "out", {"a": 2}))
    pieces = BlockPieces(Source(), PartialRun(tmp_path / "out", {"a": 2}), overwrite=True)
    assert pieces.n_resumed == 0


def test_a_run_is_known_by_everything_that_determines_its_numbers(tmp_path):
    study = shared_study()
    train(study, "crossed")
    with FeatureStore(study.features) as features, LdStore(study.ld) as store:
        prior = TrainedPrior(study.folder / "crossed", features)
        arguments = (prior, store, features, {"height": "ab"}, {"in_sample": False})
        run = partial_run(tmp_path / "out", *arguments)
        assert run.folder == tmp_path / "out.partial"
        found = json.loads(run.text)
        assert found["models"].keys() == {"chr20", "chr21", "chr22"}
        assert (found["ld"], found["features"]) == (store.digest, features.digest)
        assert (found["statistics"], found["in_sample"]) == ({"height": "ab"}, False)
        assert partial_run(tmp_path / "out", *arguments).text == run.text
        other = (prior, store, None, {"height": "cd"}, {"in_sample": True})
        changed = json.loads(partial_run(tmp_path / "out", *other).text)
        assert {name for name in found if found[name] != changed[name]} == {
            *("features", "statistics", "in_sample")
        }
