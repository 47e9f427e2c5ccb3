import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfgen.errors import UsageError
from tfgen.prior.training.block_data import BlockSize
from tfgen.prior.training.folds import make_folds


def blocks(*chroms, per_chrom=10, observed=5, length=100, step=100):
    """Blocks side by side, or sliding windows where `length` exceeds `step`."""
    return [
        BlockSize(f"{chrom}_{i}", chrom, 9, 4, observed, i * step, i * step + length)
        for chrom in chroms
        for i in range(per_chrom)
    ]


@pytest.mark.parametrize(
    ("scheme", "names"),
    [
        ("none", ["all"]),
        ("chrom", ["chr1", "chr2", "chr3"]),
        ("oddeven", ["odd", "even"]),
        ("blocks:4", ["group0", "group1", "group2", "group3"]),
    ],
)
def test_every_block_is_in_one_role_and_tested_once(scheme, names):
    sizes = blocks("1", "2", "3")
    folds = make_folds(sizes, scheme)
    assert [fold.name for fold in folds] == names
    for fold in folds:
        roles = [*fold.training, *fold.held_out, *fold.test, *fold.dropped]
        assert sorted(roles) == list(range(30))
        assert fold.held_out
    tested = [i for fold in folds for i in fold.test]
    assert sorted(tested) == ([] if scheme == "none" else list(range(30)))


def test_chromosomes_for_the_test_are_not_learned_from():
    sizes = blocks("1", "6", "X")
    (fold,) = make_folds(sizes, "none", ["6"])
    assert fold.test == tuple(range(10, 20))
    assert not set(fold.test) & {*fold.training, *fold.held_out}
    others = make_folds(sizes, "chrom", ["6"])
    assert [f.name for f in others] == ["chr1", "chrX"]
    assert all(not set(range(10, 20)) & {*f.training, *f.held_out, *f.test} for f in others)


def test_windows_that_overlap_the_test_are_dropped():
    # 3 Mb windows in steps of 1 Mb: two on each side share variants with a window.
    sizes = blocks("1", per_chrom=40, length=300)
    for fold in make_folds(sizes, "blocks:4"):
        for group, others in (
            (fold.test, (*fold.training, *fold.held_out)),
            (fold.held_out, fold.training),
        ):
            for i in group:
                for j in others:
                    assert not (sizes[i].start < sizes[j].end and sizes[j].start < sizes[i].end)
        assert fold.dropped


def test_groups_are_contiguous_and_of_nearly_equal_size():
    folds = make_folds(blocks("1", "2", per_chrom=50), "blocks:4")
    for fold in folds:
        assert len(fold.test) == 25
        assert fold.test == tuple(range(fold.test[0], fold.test[0] + 25))
    assert len({fold.held_out for fold in folds}) == 4


@given(st.lists(st.integers(0, 50), min_size=4, max_size=30), st.integers(2, 4))
def test_groups_cover_all_blocks_whatever_their_sizes(observed, parts):
    sizes = [BlockSize(str(i), "1", 9, 4, m + 1, i, i + 1) for i, m in enumerate(observed)]
    folds = make_folds(sizes, f"blocks:{parts}", held_out_share=0.0)
    assert [i for fold in folds for i in fold.test] == list(range(len(sizes)))
    assert all(fold.test for fold in folds)
    assert all(not fold.held_out for fold in folds)


@pytest.mark.parametrize(
    ("scheme", "options", "message"),
    [
        ("loco", {}, "folds is 'loco'; use none, chrom, oddeven or blocks:K"),
        ("blocks:1", {}, "with K of 2 or more"),
        ("blocks:99", {}, "20 blocks cannot be cut into 99 groups"),
        ("none", {"test_chroms": ["9"]}, "test_chrom 9 has no block; there are blocks of 1, 2"),
        ("none", {"test_chroms": ["1", "2"]}, "fold all has nothing to learn from"),
        ("none", {"held_out_share": 1.0}, "held_out_share is 1.0; expected 0 to 0.5"),
    ],
)
def test_what_has_no_meaning_is_refused(scheme, options, message):
    with pytest.raises(UsageError, match=message):
        make_folds(blocks("1", "2"), scheme, **options)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_the_share_that_is_held_out_is_the_one_asked_for(share):
    folds = make_folds(blocks("1", "2", per_chrom=50), "blocks:4", held_out_share=share)
    places = [fold.held_out for fold in folds]
    assert len(set(places)) == 4
    for fold in folds:
        assert len(fold.held_out) / 75 == pytest.approx(share, abs=0.03)
        clear = [i for i in range(100) if i not in fold.test]
        first = clear.index(fold.held_out[0])
        assert fold.held_out == tuple(clear[first : first + len(fold.held_out)])


def test_blocks_without_z_scores_are_not_all_that_is_held_out():
    sizes = blocks("1", per_chrom=9, observed=0)
    sizes[8] = blocks("1", per_chrom=9, observed=5)[8]
    sizes[0] = blocks("1", per_chrom=9, observed=5)[0]
    (fold,) = make_folds(sizes, "none")
    assert any(sizes[i].n_observed for i in fold.held_out)
