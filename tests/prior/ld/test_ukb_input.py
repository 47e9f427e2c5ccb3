"""LD from published matrices: windows that overlap and windows that are missing."""

import gzip

import numpy as np
import pytest

from prior.ld_toys import correlation, haplotypes, variants, write_window
from tfgen.errors import InputFormatError, InputMismatchError, NumericalError, UsageError
from tfgen.prior.ld.build_ld_config import BuildLdConfig
from tfgen.prior.ld.ukb_input import UkbInput

MB = 1_000_000


def no_step(n):
    pass


@pytest.fixture
def world(tmp_path):
    """120 variants on 6 Mb of chromosome 22 in four windows of 3 Mb."""
    table = variants(np.arange(120) * 50_000 + 25_001)
    ld = correlation(haplotypes(400, 120))
    folder = tmp_path / "ukb"
    folder.mkdir()
    for start in range(4):
        add(folder, start, table, ld)
    return folder, table, ld


def add(folder, start, table, ld, **options):
    inside = (table.pos > start * MB) & (table.pos <= (start + 3) * MB)
    return write_window(
        folder,
        start * MB + 1,
        (start + 3) * MB + 1,
        table.take(inside),
        ld[np.ix_(inside, inside)],
        **options,
    )


def settings(folder, **values):
    return BuildLdConfig(output=folder.with_name("store"), source="ukb_npz", ukb=folder, **values)


def test_every_variant_is_observed_once_with_its_ld(world):
    folder, table, ld = world
    source = UkbInput(settings(folder, var_kept=1, eps=1e-6), no_step)
    assert source.summary.n_ref == 337_545
    assert source.summary.panel == "UKB"
    observed = []
    for plan in source.summary.plans:
        block = source.block(plan)
        rows = np.isin(table.pos, block.variants.pos)
        centre = np.isin(table.pos, block.variants.pos[block.in_centre])
        r_w = np.linalg.pinv(block.p.astype(float)) @ block.q
        np.testing.assert_allclose(r_w, ld[np.ix_(centre, rows)], atol=1e-3)
        observed += block.variants.pos[block.in_centre].tolist()
    assert observed == table.pos.tolist()
    assert len(source.summary.without_block) == 0


def test_a_table_of_windows_that_are_not_there_is_refused(world, tmp_path):
    folder = world[0]
    listed = tmp_path / "regions.tsv"
    lines = [f"22 {s * MB + 1} {(s + 3) * MB + 1} url" for s in range(4)]
    listed.write_text("\n".join(["CHR START END URL_PREFIX", *lines]))
    config = settings(folder, blocks="regions", block_file=listed)
    assert len(UkbInput(config, no_step).summary.plans) == 4
    (folder / "chr22_1000001_4000001.npz").unlink()
    with pytest.raises(
        InputMismatchError, match=r"1 of the 4 windows .* chr22_1000001_4000001\.npz"
    ):
        UkbInput(config, no_step)
    # Without a table, the windows beside the gap observe what lies in it.
    plans = UkbInput(settings(folder), no_step).summary.plans
    assert [plan.centre_end for plan in plans] == [5 * MB // 2, 4 * MB, 6 * MB]


def test_a_gap_leaves_variants_that_are_in_no_window(world):
    folder, table, _ = world
    for start in (0, 1, 2):
        (folder / f"chr22_{start * MB + 1}_{(start + 3) * MB + 1}.npz").unlink()
    source = UkbInput(settings(folder), no_step)
    assert sum(plan.w for plan in source.summary.plans) == 60
    assert len(source.summary.without_block) == 0  # nothing lists them


def test_variants_beyond_their_window_are_not_used_there(world):
    folder, table, ld = world
    # The last window also lists a variant at its end, which is in no window.
    more = variants(np.r_[table.pos[60:], 6 * MB + 1])
    extended = np.eye(61)
    extended[:60, :60] = ld[60:, 60:]
    write_window(folder, 3 * MB + 1, 6 * MB + 1, more, extended)
    source = UkbInput(settings(folder), no_step)
    assert source.summary.without_block.pos.tolist() == [6 * MB + 1]
    assert sum(plan.w for plan in source.summary.plans) == 120
    assert source.block(source.summary.plans[-1]).info.n == 60


def test_variants_of_a_list(world, tmp_path):
    folder, table, ld = world
    listed = tmp_path / "list.bim"
    rows = [5, 50, 51, 70, 119]
    listed.write_text(
        "".join(f"22 x 0 {table.pos[i]} {table.ref[i]} {table.alt[i]}\n" for i in rows)
    )
    source = UkbInput(settings(folder, variants=listed, var_kept=1), no_step)
    blocks = [source.block(plan) for plan in source.summary.plans]
    observed = [pos for block in blocks for pos in block.variants.pos[block.in_centre].tolist()]
    assert observed == table.pos[rows].tolist()
    inside = np.isin(table.pos, blocks[1].variants.pos)
    r_w = np.linalg.pinv(blocks[1].p.astype(float)) @ blocks[1].q
    np.testing.assert_allclose(r_w, ld[np.ix_(inside, inside)][blocks[1].in_centre], atol=1e-4)
    (tmp_path / "other.bim").write_text("1 x 0 5 A G\n")
    with pytest.raises(InputMismatchError, match="no variant lies in a block"):
        UkbInput(settings(folder, variants=tmp_path / "other.bim"), no_step)


def test_frequencies_are_those_of_the_list_for_the_alleles_of_the_matrix(world, tmp_path):
    folder, table, _ = world
    rows = ["SNP\tCHR\tBP\tA1\tA2\tA1FREQ"]
    frequencies = np.linspace(0.01, 0.9, 120)
    for i in range(120):
        alleles = (table.alt[i], table.ref[i])
        frequency = f"{frequencies[i]:.4f}" if i % 7 else "NA"
        rows.append("\t".join([f"s{i}", "22", str(table.pos[i]), *alleles[:: 1 - 2 * (i % 2)]]))
        rows[-1] += "\t" + frequency
    listed = tmp_path / "munged.tsv"
    listed.write_text("\n".join(rows) + "\n")
    source = UkbInput(settings(folder, variants=listed), no_step)
    # Every other row counts the other allele.
    expected = np.where(np.arange(120) % 2, 1 - frequencies, frequencies)
    expected[::7] = np.nan
    seen = []
    for plan in source.summary.plans:
        variants_of = source.block(plan).variants
        rows_of = np.searchsorted(table.pos, variants_of.pos)
        np.testing.assert_allclose(variants_of.af, expected[rows_of], atol=6e-5)
        np.testing.assert_array_equal(variants_of.alt, table.alt[rows_of])
        seen += rows_of.tolist()
    assert set(seen) == set(range(120))
    plain = UkbInput(settings(folder), no_step)
    assert np.isnan(plain.block(plain.summary.plans[0]).variants.af).all()


def test_chromosomes_that_are_not_there_are_refused(world):
    with pytest.raises(InputMismatchError, match="no variants on chromosome 21; it has 22"):
        UkbInput(settings(world[0], chroms=("21",)), no_step)


def test_matrices_that_are_no_ld_name_file_and_variants(world):
    folder, table, ld = world
    path = add(folder, 0, table, ld + np.diag(np.full(119, np.nan), -1))
    source = UkbInput(settings(folder), no_step)
    with pytest.raises(InputFormatError, match=rf"{path.name}: LD is not finite in 60 rows"):
        source.block(source.summary.plans[0])
    add(folder, 0, table, 1.5 * ld)
    with pytest.raises(InputFormatError, match=r"r = -?1\..* between 22:"):
        UkbInput(settings(folder), no_step).block(source.summary.plans[0])
    add(folder, 0, table, np.full((120, 120), -0.5))
    with pytest.raises(NumericalError, match="block chr22_0_3000000: .* not positive"):
        UkbInput(settings(folder), no_step).block(source.summary.plans[0])


def test_variants_twice_are_refused(world):
    folder = world[0]
    path = folder / "chr22_1_3000001.gz"
    lines = gzip.open(path, "rt").read().splitlines()
    path.write_bytes(gzip.compress("\n".join([*lines[:-1], lines[-2]]).encode()))
    with pytest.raises(InputFormatError, match=r"chr22_1_3000001\.gz: 1 variants occur more"):
        UkbInput(settings(folder), no_step)


def test_the_digest_is_of_all_files(world):
    folder, table, ld = world
    first = UkbInput(settings(folder), no_step).summary.digests
    add(folder, 2, table, 0.99 * ld)
    assert UkbInput(settings(folder), no_step).summary.digests != first


def test_memory_grows_with_the_whole_window(world):
    source = UkbInput(settings(world[0], n_ref=100), no_step)
    assert source.summary.n_ref == 100
    assert source.bytes_needed(source.summary.plans[1]) > 8 * 4 * 60**2


def test_a_source_without_a_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match="needs --ukb"):
        UkbInput(BuildLdConfig(output=tmp_path, bed=tmp_path), no_step)
