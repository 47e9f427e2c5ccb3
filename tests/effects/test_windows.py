import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfgen.effects.windows import WindowGeometry
from tfgen.errors import UsageError
from tfgen.genome import Variant

PUBLISHED = WindowGeometry(196_608, 896)


def test_the_published_model_has_its_published_lengths():
    assert PUBLISHED.crop == 40_960
    assert PUBLISHED.output_length == 114_688
    assert PUBLISHED.tile_stride == 16_384


def test_the_hub_model_crops_more():
    assert WindowGeometry(393_216, 896).crop == 139_264


@pytest.mark.parametrize(
    ("bins", "stride"), [(1, 128), (5, 128), (10, 128), (11, 256), (16, 256), (896, 16_384)]
)
def test_the_stride_is_a_seventh_of_the_output_in_whole_bins(bins, stride):
    assert WindowGeometry(196_608, bins).tile_stride == stride


def test_a_centred_window_has_the_first_base_in_its_middle():
    window = PUBLISHED.window(Variant("chr1", 1_000_001, "A", "G"), "centred")
    assert (window.start, window.end) == (1_000_000 - 98_304, 1_000_000 + 98_304)


def test_a_shared_window_at_known_positions():
    # Tile 61 serves starts 999,424 to 1,015,807; its middle is 1,007,616 = 7872 * 128.
    for start in (999_424, 1_000_000, 1_015_807):
        window = PUBLISHED.window(Variant("chr1", start + 1, "A", "G"), "shared")
        assert window.start == 1_007_616 - 98_304
    assert PUBLISHED.window(Variant("chr1", 1_015_809, "A", "G"), "shared").start == (
        1_007_616 + 16_384 - 98_304
    )


@pytest.mark.parametrize(
    ("ref", "alt"), [("A", "AT"), ("ATT", "A"), ("AC", "GTT"), ("A" * 129, "C" * 129)]
)
def test_indels_and_long_blocks_are_always_centred(ref, alt):
    variant = Variant("chr1", 1_000_001, ref, alt)
    assert PUBLISHED.window(variant, "shared") == PUBLISHED.window(variant, "centred")


def test_a_block_of_one_bin_shares_its_window():
    variant = Variant("chr1", 1_000_001, "A" * 128, "C" * 128)
    assert PUBLISHED.window(variant, "shared").start == 1_007_616 - 98_304


geometries = st.builds(
    lambda bins, extra: WindowGeometry(128 * (bins + 2 * extra), bins),
    st.integers(3, 1000),
    st.integers(0, 400),
)


@given(geometries, st.integers(1, 250_000_000))
def test_shared_windows_lie_on_the_grid_and_keep_the_variant_in_the_output(geometry, pos):
    variant = Variant("1", pos, "A", "C")
    window = geometry.window(variant, "shared")
    assert window.width == geometry.sequence_length
    assert window.start % 128 == 0
    offset = variant.start - window.start
    # Within half a stride and the rounding of the middle of the window.
    assert abs(offset - geometry.sequence_length // 2) <= geometry.tile_stride // 2 + 128
    assert geometry.crop <= offset < geometry.crop + geometry.output_length


@given(st.integers(0, 250_000_000), st.integers(0, 16_383), st.integers(0, 16_383))
def test_variants_of_one_tile_have_one_window(position, one, other):
    tile = position // 16_384 * 16_384
    windows = {
        PUBLISHED.window(Variant("1", tile + step + 1, "A", "C"), "shared").start
        for step in (one, other)
    }
    assert len(windows) == 1


def test_central_bins_count_from_the_output_region():
    assert PUBLISHED.central_bins(98_304) == (447, 448)
    assert PUBLISHED.central_bins(98_304 + 64) == (448, 449)


@pytest.mark.parametrize(("length", "bins"), [(1024, 9), (1024, 0)])
def test_bins_that_do_not_fit_are_refused(length, bins):
    with pytest.raises(UsageError, match=f"{bins} output bins of 128 bases do not fit"):
        WindowGeometry(length, bins)
