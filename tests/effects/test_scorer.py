import numpy as np
import pytest

from effects.toy_engines import SumEngine, loaded
from tfgen.effects.rows import RowReader
from tfgen.effects.scorer import Scorer, check_engine
from tfgen.effects.selfcheck import SelfCheck
from tfgen.effects.windows import WindowGeometry
from tfgen.errors import InputMismatchError, NumericalError
from tfgen.genome import ContigNames, Fasta
from tfgen.io.shards import RowRange

A_TO_G = {"SAD": 1, "SAR": 0, "tCRA": -1}


def piece(config, n_rows, engine=None, check_next=False):
    engine = engine or SumEngine()
    with Fasta(config.fasta) as fasta:
        reader = RowReader(config, fasta, ContigNames(fasta.contigs))
        geometry = WindowGeometry(engine.sequence_length, engine.target_length)
        rows = list(reader.scoring_rows([RowRange(0, n_rows)], geometry))
    return Scorer(config, engine, check_next).piece(RowRange(0, n_rows), rows)


def line(world, pos, ref="A", alt="G"):
    """A line at the next place where the genome has `ref`."""
    pos = world.contigs["chr1"].index(ref, pos) + 1
    return f"chr1\t{pos}\t.\t{ref}\t{alt}"


def test_scores_are_alternative_minus_reference_in_every_track(world):
    vcf = world.vcf([line(world, 1000), line(world, 2000, "A", "C"), line(world, 3000, "G", "T")])
    found = piece(world.config(vcf), 3).columns
    assert found["SAD"].tolist() == [[1, 2, 3], [0, 0, 0], [-1, -2, -3]]
    assert found["SAR"].tolist() == [[0, 0, 0], [1, 2, 3], [0, 0, 0]]
    assert found["tCRA"].tolist() == [[-1, -2, -3], [-1, -2, -3], [0, 0, 0]]
    assert found["SAD"].dtype == np.float32


def test_rows_without_a_score_are_nan_and_the_others_stay_in_place(world):
    bad = "chr9\t7\tx\tA\tC"
    vcf = world.vcf([bad, line(world, 1000), bad, line(world, 2000, "G", "A"), bad])
    engine = SumEngine()
    found = piece(world.config(vcf), 5, engine).columns
    np.testing.assert_array_equal(found["SAD"][:, 0], [np.nan, 1, np.nan, -1, np.nan])
    assert engine.calls == [2]
    assert found["status"].tolist() == [b"UNKNOWN_CONTIG", b"OK"] * 2 + [b"UNKNOWN_CONTIG"]
    assert found["window_start"][[0, 2]].tolist() == [0, 0]
    assert np.isnan(found["n_fraction"][0])
    assert found["n_fraction"][1] == 0


def test_the_model_is_not_called_without_windows(world):
    engine = SumEngine()
    found = piece(world.config(world.vcf(["chr9\t7\tx\tA\tC"])), 1, engine)
    assert engine.calls == []
    assert np.isnan(found.columns["SAD"]).all()
    assert found.check == SelfCheck(0, {})


def test_swapped_rows_are_scored_in_the_orientation_of_the_file(world):
    # The genome has A; the file says G>A, and T>A for which no statistic counts letters.
    pos = world.contigs["chr1"].index("A", 1000) + 1
    vcf = world.vcf([f"chr1\t{pos}\t.\tG\tA", f"chr1\t{pos}\t.\tT\tA"])
    found = piece(world.config(vcf, ref_policy="swap"), 2).columns
    assert found["swapped"].tolist() == [True, True]
    assert found["SAD"].tolist() == [[-1, -2, -3], [0, 0, 0]]
    assert not np.signbit(found["SAD"][1]).any()
    assert found["ref_allele"].tolist() == [b"G", b"T"]


def test_columns_describe_the_row(world):
    base = world.base("chr1", 5001)
    inserted = world.other("chr1", 5002)
    lines = [
        f"chr1\t5001\tindel\t{base}\t{base}{inserted}",
        f"chr1\t-3\tlow\t{base}\tC",
        f"chr1\t{2**33}\thigh\t{base}\tC",
        world.snv("chr1", 101, "edge"),
    ]
    found = piece(world.config(world.vcf(lines)), 4).columns
    assert found["snp"].tolist() == [b"indel", b"low", b"high", b"edge"]
    assert found["pos"].tolist() == [5001, 0, 2**32 - 1, 101]
    assert found["given_pos"].tolist() == [5001, -3, 2**33, 101]
    assert found["line"].tolist() == [3, 4, 5, 6]
    assert found["alt_index"].tolist() == [1, 1, 1, 1]
    assert found["window_start"].tolist() == [5000 - 512, 0, 0, 100 - 512]
    assert found["n_padded"].tolist() == [0, 0, 0, 412]
    assert found["n_fraction"][3] == np.float32(412 / 1024)
    assert found["indel_shift"].tolist() == [True, False, False, False]
    assert found["detail"][1] == b"-3--3 is not within 1-20000 of chr1"


def test_chosen_rows_are_computed_in_full(world):
    engine = SumEngine(full_error=0.25)
    found = piece(world.config(world.snvs(30), verify_fraction=1.0), 30, engine)
    assert found.check == SelfCheck(30, {"SAD": 0.25, "SAR": 0.25, "tCRA": 0.25})
    assert len(engine.full_rows) == 30


def test_the_first_row_is_checked_if_nothing_was(world):
    vcf = world.vcf(["chr9\t7\tx\tA\tC", world.snv("chr1", 700), world.snv("chr1", 800)])
    config = world.config(vcf, verify_fraction=1e-9)
    engine = SumEngine(full_error=0.5)
    assert piece(config, 3, engine, check_next=True).check.n_rows == 1
    assert engine.full_rows == ["700"]
    assert piece(config, 3, check_next=False).check.n_rows == 0


def test_no_row_is_checked_if_that_is_not_wanted(world):
    config = world.config(world.snvs(3), verify_fraction=0.0)
    assert piece(config, 3, check_next=True).check.n_rows == 0


class BrokenEngine(SumEngine):
    def score(self, windows):
        scores = super().score(windows)
        scores["SAR"][-1, 1] = np.inf
        return scores


def test_a_score_that_is_not_finite_stops(world):
    vcf = world.vcf([world.snv("chr1", 700), world.snv("chr1", 800)])
    with pytest.raises(NumericalError, match=r"SAR of chr1:800 .* \(row 1\) is inf in track 1"):
        piece(world.config(vcf), 2, BrokenEngine())


class NarrowEngine(SumEngine):
    def score(self, windows):
        return {name: values[:, :1] for name, values in super().score(windows).items()}


def test_a_score_of_other_shape_stops(world):
    with pytest.raises(InputMismatchError, match=r"SAD of shape \(1, 1\); expected \(1, 3\)"):
        piece(world.config(world.snvs(1)), 1, NarrowEngine())


@pytest.mark.parametrize(
    ("engine", "changes", "message"),
    [
        (SumEngine(statistics=("SAD",)), {}, "engine gives SAD; expected SAD,SAR,tCRA"),
        (SumEngine(), {"track_ids": ["a"]}, "1 track identifiers for 3 tracks"),
        (SumEngine(), {"track_labels": []}, "0 track labels for 3 tracks"),
    ],
)
def test_an_engine_must_fit_its_description(world, engine, changes, message):
    with pytest.raises(InputMismatchError, match=message):
        check_engine(loaded(engine, **changes), world.config(world.snvs(1)))
