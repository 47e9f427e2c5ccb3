import numpy as np
import pytest

from prior.feature_files import bigwig, score_store, table, write
from tfgen.errors import InputMismatchError, UsageError
from tfgen.prior.features.feature_sources import open_sources, source_specs
from tfgen.prior.features.features_config import FeaturesConfig


@pytest.fixture
def opened(tmp_path):
    """Opens the sources that some settings name, with files of every kind in the folder."""
    write(tmp_path / "a.annot", "CHR\tBP\tSNP\tCM\tbase\n1\t5\trs1\t0\t1\n")
    write(tmp_path / "x.bed", "1\t0\t5\n")
    bigwig(tmp_path / "s.bw", {"1": 100}, [("1", 4, 6, 2)])
    score_store(tmp_path / "e.h5", ["1:5:A:C", "1:6:A:C"], [[-3, 1], [2, 2]])
    write(tmp_path / "tss.tsv", "chrom\tpos\n1\t15\n")
    write(tmp_path / "t.tsv", "CHR\tBP\tA1\tA2\tz\n1\t5\tC\tA\t7\n")

    def open_them(contigs=("1",), **options):
        given = {
            name: tuple(f"{_prefixed(tmp_path, text)}" for text in value)
            if isinstance(value, tuple) and name not in ("bigwig_bins", "score_tracks")
            else value
            for name, value in options.items()
        }
        config = FeaturesConfig(variants=tmp_path / "v.bim", output=tmp_path / "f.h5", **given)
        return open_sources(config, source_specs(config), contigs)

    return open_them


def _prefixed(folder, text):
    name, equals, path = text.rpartition("=") if ":" not in text else ("", "", text)
    return f"{name}{equals}{folder / path}"


def test_columns_come_in_one_order(opened):
    sources = opened(
        table=("t.tsv:columns=z:signed=yes",),
        distance_to=("tss.tsv",),
        scores=("e.h5",),
        bigwig=("s.bw",),
        bigwig_bins=("1",),
        bed=("x.bed",),
        annot=("a.annot",),
        score_tracks=("1",),
        maf=True,
    )
    names = ("base", "x", "s:0", "SAD:1:T1", "log10_distance_to_tss", "z", "maf")
    assert sources.names == names
    assert sources.signed == (False, False, False, False, False, True, False)
    variants = table("1:5:A:C", "1:6:A:C", af=[0.25, 0.5])
    piece = sources.piece(variants)
    assert list(piece) == ["annotations"]
    expected = [[1, 1, 2, 1, np.log10(11), 7, 0.25], [np.nan, 0, 2, 2, 1, np.nan, 0.5]]
    np.testing.assert_allclose(piece["annotations"], expected, rtol=1e-6)
    assert [source["kind"] for source in sources.described] == [
        "annot",
        "bed",
        "bigwig",
        "scores",
        "distance_to",
        "table",
    ]
    assert len(sources.fingerprints) == 6
    assert all(len(mark["sha256"]) == 64 for mark in sources.fingerprints.values())


def test_windows_are_tracks(opened):
    sources = opened(bigwig=("s.bw", "two=s.bw"), bigwig_mode="window", window=4)
    assert (sources.names, sources.track_names) == ((), ("s", "two"))
    assert sources.bins == ((-2, -1), (-1, 0), (0, 1), (1, 2))
    piece = sources.piece(table("1:5:A:C"))
    assert piece["annotations"].shape == (1, 0)
    np.testing.assert_array_equal(piece["tracks"], [[[0, 0], [0, 0], [2, 2], [2, 2]]])


def test_components_keep_their_loadings(opened):
    sources = opened(scores=("e.h5",), score_components=1)
    assert sources.names == ("SAD:PC1",)
    assert "SAD.loadings" in sources.extras
    assert opened(bed=("x.bed",)).extras == {}


def test_warnings_of_all_sources_are_gathered(opened):
    sources = opened(contigs=("1", "2"), bigwig=("s.bw",), distance_to=("tss.tsv",))
    assert len(sources.warnings) == 2


def test_only_sources_whose_rows_are_variants_must_have_some(opened):
    elsewhere, here = table("1:90:A:C"), table("1:90:A:C", "1:5:A:C")
    opened(bed=("x.bed",), bigwig=("s.bw",), distance_to=("tss.tsv",)).require_matches(elsewhere)
    for options in (
        {"annot": ("a.annot",)},
        {"scores": ("e.h5",)},
        {"table": ("t.tsv:columns=z",)},
    ):
        opened(**options).require_matches(here)
        with pytest.raises(InputMismatchError, match="has none of the 1 variants; it has 1:5"):
            opened(**options).require_matches(elsewhere)


def test_two_columns_of_one_name_are_refused(opened):
    with pytest.raises(UsageError, match="two columns are called 'x'; tell the sources apart"):
        opened(bed=("x.bed", "x.bed"))
    with pytest.raises(UsageError, match="two columns are called 's'"):
        opened(bigwig=("s.bw", "s.bw"), bigwig_mode="window")
    assert opened(bed=("x.bed", "y=x.bed")).names == ("x", "y")


def test_options_belong_to_their_kind(opened):
    with pytest.raises(UsageError, match="--bigwig=.*unknown option 'agg'; it has no options"):
        opened(bigwig=("s.bw:agg=max",))
