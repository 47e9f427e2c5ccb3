import gzip
import json

import numpy as np
import pytest

from prior.feature_files import table
from prior.trained_toys import FLANK, N, Rows, joined, of_format_1_0, shared_study, train
from tfgen.errors import (
    InputMismatchError,
    OutputError,
    TooManyRejectsError,
    UsageError,
)
from tfgen.genome import VariantTable
from tfgen.prior.features.feature_store import FeatureSchema, FeatureStore, write_feature_store
from tfgen.prior.heads.saved_prior import load_saved_prior
from tfgen.prior.ld.ld_store import BlockInfo
from tfgen.prior.ld.ld_store_writer import save_ld_store
from tfgen.prior.outputs import score as module
from tfgen.prior.outputs.score import score_prior
from tfgen.prior.outputs.score_config import ScorePriorConfig
from tfgen.prior.sumstats.munged import read_munged

HEADER = "CHR SNP BP A1 A2 SNPVAR Z N".split()


@pytest.fixture(scope="module")
def study():
    study = shared_study()
    train(study, "crossed")
    train(study, "both", traits=("bmi", "height"))
    train(study, "single", folds="none")
    return study


def config(study, folder, **options):
    return ScorePriorConfig(
        **{
            "prior": study.folder / "crossed",
            "variants": study.ld,
            "features": study.features,
            "output": folder / "x.snpvar.gz",
            "progress": "none",
            **options,
        }
    )


def read(path):
    with gzip.open(path, "rt") as stream:
        rows = [line.rstrip("\n").split("\t") for line in stream]
    return {name: [row[i] for row in rows[1:]] for i, name in enumerate(rows[0])}


def numbers(column):
    return np.array([np.nan if text == "NA" else float(text) for text in column])


def write_bim(path, variants, rows):
    """A .bim of some rows, A1 is `alt`."""
    path.write_text(
        "".join(
            f"{variants.chrom[i]}\t{variants.id[i]}\t0\t{variants.pos[i]}\t{variants.alt[i]}\t"
            f"{variants.ref[i]}\n"
            for i in rows
        )
    )
    return path


def everything(study):
    return joined([block.variants for block in study.blocks])


def test_the_columns_are_those_of_polyfun_and_three_more(study, tmp_path, shared_data):
    gold = shared_data("gwas_ld/polyfun/gold/testrun.22.snpvar_constrained.gz")
    with gzip.open(gold, "rt") as stream:
        assert stream.readline().split() == HEADER
    score_prior(config(study, tmp_path))
    for name in ("x.snpvar.gz", "x.snpvar_constrained.gz"):
        assert list(read(tmp_path / name)) == [*HEADER, "LOGF", "SE", "FOLD"]


def test_variants_get_the_fold_that_never_saw_them(study, tmp_path):
    summary = score_prior(config(study, tmp_path, traits=study.traits()))
    assert (summary.n, summary.n_cross_fitted) == (720, 720)
    found = read(tmp_path / "x.snpvar.gz")
    assert found["FOLD"] == [f"chr{chrom}" for chrom in found["CHR"]]
    variants = everything(study)
    order = np.lexsort((variants.pos, variants.chrom.astype(int)))
    assert found["SNP"] == variants.id[order].tolist()
    with FeatureStore(study.features) as store:
        features, _ = store.read_for(variants)
    values = []
    for name in ("chr20", "chr21", "chr22"):
        model = load_saved_prior(study.folder / "crossed" / "folds" / name)
        af = variants.af.astype(np.float32)
        values.append(model.log_f(features.annotations, None, af)[:, 0].astype(float))
    own = np.choose(variants.chrom.astype(int) - 20, values)[order]
    np.testing.assert_allclose(numbers(found["LOGF"]), own, rtol=1e-5, atol=1e-6)
    # Delete-a-group jackknife: (K - 1) / K of the sum of squared differences to the mean, K = 3.
    se = np.sqrt(2 / 3 * np.sum((values - np.mean(values, axis=0)) ** 2, axis=0))[order]
    np.testing.assert_allclose(numbers(found["SE"]), se, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(numbers(found["SNPVAR"]), np.exp(own) / 999.75, rtol=1e-5)


def test_statistics_come_along_with_the_sign_of_a1(study, tmp_path):
    variants = everything(study)
    rows = range(0, 3 * N)
    bim = write_bim(tmp_path / "x.bim", variants, rows)
    swapped = VariantTable(**{**vars(variants), "ref": variants.alt, "alt": variants.ref})
    other = write_bim(tmp_path / "y.bim", swapped, rows)
    for path in (bim, other):
        options = {"variants": path, "ld": study.ld, "output": tmp_path / f"{path.stem}.tsv.gz"}
        score_prior(config(study, tmp_path, traits=study.traits(), **options))
    one, two = read(tmp_path / "x.tsv.gz"), read(tmp_path / "y.tsv.gz")
    assert one["A1"] == two["A2"]
    # 1 - p rounds differently in float32.
    np.testing.assert_allclose(numbers(one["LOGF"]), numbers(two["LOGF"]), atol=1e-6)
    np.testing.assert_array_equal(numbers(one["Z"]), -numbers(two["Z"]))
    stats = read_munged(study.height)
    by_name = dict(zip(stats.variants.id, zip(stats.z, stats.n, strict=True), strict=True))
    for snp, z, n in zip(one["SNP"], one["Z"], one["N"], strict=True):
        expected = by_name.get(snp, (np.nan, np.nan))
        np.testing.assert_allclose(numbers([z, n]), expected, rtol=1e-7)
    assert one["N"].count("NA") == 3 * 2 * FLANK


def test_constrained_values_have_the_same_sum_and_a_ratio_of_at_most_100(study, tmp_path):
    score_prior(config(study, tmp_path, max_ratio=10.0))
    free = numbers(read(tmp_path / "x.snpvar.gz")["SNPVAR"])
    tight = numbers(read(tmp_path / "x.snpvar_constrained.gz")["SNPVAR"])
    assert np.all(free > 0)
    assert free.max() / free.min() > 11
    assert tight.max() / tight.min() == pytest.approx(10, rel=1e-6)
    assert tight.sum() == pytest.approx(free.sum(), rel=1e-6)
    score_prior(config(study, tmp_path, constrain=False, output=tmp_path / "y.gz"))
    assert not (tmp_path / "y_constrained.gz").exists()


def test_the_same_command_gives_the_same_bytes(study, tmp_path):
    for name in ("a.gz", "b.gz"):
        score_prior(config(study, tmp_path, output=tmp_path / name))
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    report = json.loads((tmp_path / "a.gz.run.json").read_text())
    assert report["results"]["n"] == 720
    assert set(report["results"]["models"]) == {"chr20", "chr21", "chr22"}


def test_parquet_has_the_same_numbers(study, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    score_prior(config(study, tmp_path))
    score_prior(config(study, tmp_path, output=tmp_path / "x.parquet"))
    table = parquet.read_table(tmp_path / "x.parquet")
    text = read(tmp_path / "x.snpvar.gz")
    np.testing.assert_allclose(table["SNPVAR"].to_numpy(), numbers(text["SNPVAR"]), rtol=1e-7)
    assert json.loads(table.schema.metadata[b"tfgen"])["trait"] == "height"
    limited = parquet.read_schema(tmp_path / "x_constrained.parquet").metadata[b"tfgen"]
    assert json.loads(limited)["max_ratio"] == 100


def test_several_traits_have_their_files_and_scales(study, tmp_path):
    both = {"prior": study.folder / "both"}
    summary = score_prior(config(study, tmp_path, **both))
    assert set(summary.traits) == {"bmi", "height"}
    assert {path.name for path in tmp_path.glob("*.gz")} == {
        f"x.{trait}.snpvar{part}.gz" for trait in ("bmi", "height") for part in ("", "_constrained")
    }
    one = tmp_path / "one.gz"
    score_prior(config(study, tmp_path, **both, trait="height", output=one))
    assert read(one) == read(tmp_path / "x.height.snpvar.gz")
    with pytest.raises(UsageError, match="has no 'weight'"):
        score_prior(config(study, tmp_path, **both, trait="weight", overwrite=True))


def test_a_single_model_needs_no_ld_and_has_no_standard_error(study, tmp_path):
    listing = tmp_path / "list.tsv"
    variants = everything(study)
    rows = [f"{variants.chrom[i]}\trs\t{variants.pos[i]}\tG\tA\t0.3\n" for i in range(50)]
    listing.write_text("CHR\tSNP\tBP\tA1\tA2\tA1FREQ\n" + "".join(rows))
    options = {"prior": study.folder / "single", "variants": listing}
    summary = score_prior(config(study, tmp_path, **options))
    assert (summary.n, summary.n_cross_fitted) == (50, 0)
    found = read(tmp_path / "x.snpvar.gz")
    assert set(found["SE"]) == {"NA"}
    assert set(found["FOLD"]) == {"mean"}


def test_a_prior_knows_its_blocks_without_the_ld(study, tmp_path):
    variants = everything(study)
    bim = write_bim(tmp_path / "x.bim", variants, range(len(variants)))
    alone = score_prior(config(study, tmp_path, variants=bim, output=tmp_path / "a.gz"))
    assert (alone.n, alone.n_cross_fitted, alone.warnings) == (720, 720, ())
    with_ld = config(study, tmp_path, variants=bim, ld=study.ld, output=tmp_path / "b.gz")
    score_prior(with_ld)
    assert read(tmp_path / "a.gz")["FOLD"] == [f"chr{c}" for c in variants.chrom]
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    # The LD of a part is enough for frequencies.
    save_ld_store(tmp_path / "ld", {"build": "GRCh37", "panel": "x"}, study.blocks[:3])
    options = {"variants": bim, "ld": tmp_path / "ld", "output": tmp_path / "c.gz"}
    assert score_prior(config(study, tmp_path, **options)).warnings == ()
    assert read(tmp_path / "c.gz")["FOLD"] == read(tmp_path / "a.gz")["FOLD"]


def test_variants_kept_out_of_every_fold_get_the_mean_and_count_as_unseen(study, tmp_path):
    train(study, "final", test_chrom=("22",))
    summary = score_prior(config(study, tmp_path, prior=study.folder / "final"))
    assert (summary.n, summary.n_cross_fitted) == (720, 720)
    found = read(tmp_path / "x.snpvar.gz")
    names = {"20": "chr20", "21": "chr21", "22": "mean"}
    assert found["FOLD"] == [names[chrom] for chrom in found["CHR"]]


def test_a_cross_fitted_prior_of_format_1_0_needs_the_ld_of_its_training(study, tmp_path):
    old = {"prior": of_format_1_0(study.folder / "crossed", tmp_path / "old")}
    bim = write_bim(tmp_path / "x.bim", everything(study), range(50))
    with pytest.raises(UsageError, match="is cross-fitted and of an older format.*; give --ld"):
        score_prior(config(study, tmp_path, variants=bim, **old))
    save_ld_store(tmp_path / "ld", {"build": "GRCh37", "panel": "x"}, study.blocks[:3])
    with pytest.raises(InputMismatchError, match="lacks 9 blocks that folds kept out"):
        score_prior(config(study, tmp_path, variants=bim, ld=tmp_path / "ld", **old))
    same = score_prior(config(study, tmp_path, output=tmp_path / "same.gz", **old))
    assert same.n_cross_fitted == 720
    score_prior(config(study, tmp_path, output=tmp_path / "new.gz"))
    assert (tmp_path / "same.gz").read_bytes() == (tmp_path / "new.gz").read_bytes()
    save_ld_store(tmp_path / "all", {"build": "GRCh37", "panel": "x"}, study.blocks)
    summary = score_prior(config(study, tmp_path, variants=bim, ld=tmp_path / "all", **old))
    assert summary.warnings == (f"{tmp_path / 'all'}: is not the LD that the prior was trained on",)


def test_variants_outside_of_all_blocks_get_the_mean(study, tmp_path):
    far = table("20:99999:A:G:far", "9:5:A:G:other")
    variants = joined([everything(study), far])
    rows = Rows(np.zeros((len(variants), 3), np.float32))
    schema = FeatureSchema(("dhs", "noise", "gaps"), run_digest="x")
    write_feature_store(tmp_path / "f.h5", schema, variants, rows)
    listing = tmp_path / "list.tsv"
    listing.write_text(
        "CHR\tSNP\tBP\tA1\tA2\tFREQ\n20\ta\t99999\tG\tA\t0.5\n9\tb\t5\tG\tA\t0.5\n"
        "21\tc\t5\tG\tA\t0.5\n"
    )
    options = {"variants": listing, "features": tmp_path / "f.h5", "ld": study.ld}
    score_prior(config(study, tmp_path, **options))
    found = read(tmp_path / "x.snpvar.gz")
    assert found["FOLD"] == ["mean", "mean", "chr21"]
    logf = []
    for name in ("chr20", "chr21", "chr22"):
        model = load_saved_prior(study.folder / "crossed" / "folds" / name)
        logf.append(model.log_f(np.zeros((1, 3), np.float32), None, np.array([0.5]))[0, 0])
    assert numbers(found["LOGF"])[:2] == pytest.approx(np.mean(logf), rel=1e-5)
    assert numbers(found["LOGF"])[2] == pytest.approx(logf[1], rel=1e-5)


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_position_belongs_to_the_centre_that_holds_it_or_the_nearest_block(shuffled):
    def info(start):
        return BlockInfo(str(start), "1", start, start + 30, start + 10, start + 20, 9, 9, 9, 0.0)

    blocks = [info(start) for start in (0, 10, 20, 100)]
    if shuffled:
        blocks = blocks[::-1]
    pos = np.array([0, 9, 10, 19, 20, 29, 30, 39, 40, 49, 50, 99, 100, 129, 130])
    found = module._block_of(blocks, pos)
    starts = [blocks[i].start if i >= 0 else None for i in found]
    none = [None]
    assert starts == [0, 0, 0, 0, 10, 10, 20, 20, 20, 20, *none, *none, 100, 100, *none]


def test_variants_that_cannot_be_scored_are_listed(study, tmp_path):
    variants = everything(study)
    lines = [f"{variants.chrom[i]}\trs{i}\t{variants.pos[i]}\tG\tA\n" for i in range(20)]
    lines += ["20\tnew\t77777\tG\tA\n", f"20\tswap\t{variants.pos[3]}\tA\tG\n"]
    lines += ["20\tbad\t7\t.\tA\n"]
    listing = tmp_path / "list.tsv"
    listing.write_text("CHR\tSNP\tBP\tA1\tA2\n" + "".join(lines))
    options = {"variants": listing, "ld": study.ld}
    with pytest.raises(TooManyRejectsError, match="3 of 23 variants have no row"):
        score_prior(config(study, tmp_path, **options))
    assert len(read(tmp_path / "x.snpvar.gz")["SNP"]) == 20
    rejects = (tmp_path / "x.snpvar.gz.rejects.tsv").read_text().splitlines()
    codes = sorted(line.split("\t")[6] for line in rejects[1:])
    assert codes == ["DUPLICATE", "NO_ALT", "NO_FEATURES"]
    options |= {"max_rejected_fraction": 0.5, "overwrite": True}
    summary = score_prior(config(study, tmp_path, **options))
    assert summary.rejected == {"NO_ALT": 1, "DUPLICATE": 1, "NO_FEATURES": 1}


def test_frequencies_come_from_the_list_the_ld_or_the_features(study, tmp_path):
    """Without any there is nothing to score; a part without is rejected."""
    variants = everything(study)
    bim = write_bim(tmp_path / "x.bim", variants, range(50))
    single = {"prior": study.folder / "single", "variants": bim}
    score_prior(config(study, tmp_path, **single, output=tmp_path / "features.gz"))
    score_prior(config(study, tmp_path, **single, ld=study.ld, output=tmp_path / "ld.gz"))
    assert read(tmp_path / "features.gz") == read(tmp_path / "ld.gz")
    schema = FeatureSchema(("dhs", "noise", "gaps"), run_digest="x")
    rows = Rows(np.zeros((len(variants), 3), np.float32))
    some = np.where(variants.pos < 100, np.nan, 0.4)
    for name, af in (("none", np.nan * variants.af), ("some", some)):
        unknown = VariantTable(**{**vars(variants), "af": af})
        write_feature_store(tmp_path / f"{name}.h5", schema, unknown, rows)
    with pytest.raises(InputMismatchError, match="depends on allele frequency and none is known"):
        score_prior(config(study, tmp_path, **single, features=tmp_path / "none.h5"))
    options = {**single, "features": tmp_path / "some.h5", "max_rejected_fraction": 1.0}
    assert score_prior(config(study, tmp_path, **options)).rejected == {"NO_FREQUENCY": 10}


def test_features_of_other_variants_are_refused(study, tmp_path):
    listing = tmp_path / "list.tsv"
    listing.write_text("CHR\tSNP\tBP\tA1\tA2\n5\ta\t99\tG\tA\n")
    with pytest.raises(InputMismatchError, match="has none of the variants of .*5:99:A:G"):
        score_prior(config(study, tmp_path, variants=listing, ld=study.ld))


def test_signed_features_follow_the_counted_allele(study, tmp_path):
    """A store that counts the other allele and says that `noise` is signed."""
    variants = everything(study)
    with FeatureStore(study.features) as store:
        values, _ = store.read_for(variants)
    annotations = values.annotations.copy()
    annotations[:, 1] *= -1
    swapped = VariantTable(
        **{**vars(variants), "ref": variants.alt, "alt": variants.ref, "af": 1 - variants.af}
    )
    names = ("dhs", "noise", "gaps")
    schema = FeatureSchema(names, signed=(False, True, False), run_digest="x")
    write_feature_store(tmp_path / "s.h5", schema, swapped, Rows(annotations))
    score_prior(config(study, tmp_path, output=tmp_path / "a.gz"))
    summary = score_prior(
        config(study, tmp_path, output=tmp_path / "b.gz", features=tmp_path / "s.h5")
    )
    assert read(tmp_path / "a.gz")["LOGF"] == read(tmp_path / "b.gz")["LOGF"]
    assert any("columns are taken by name" in line for line in summary.warnings)


def test_a_constant_prior_needs_no_features(study, tmp_path):
    head = {"freq_mode": "off"}
    train(study, "flat", folds="none", features=False, head=head)
    listing = tmp_path / "list.tsv"
    listing.write_text("CHR\tSNP\tBP\tA1\tA2\n5\ta\t99\tG\tA\n5\tb\t100\tG\tA\n")
    options = {"prior": study.folder / "flat", "features": None, "variants": listing}
    summary = score_prior(config(study, tmp_path, **options, traits=study.traits()))
    assert len(set(read(tmp_path / "x.snpvar.gz")["SNPVAR"])) == 1
    assert summary.warnings == (f"{study.height}: none of its variants is among those scored",)


def test_values_missing_for_the_first_time_are_said(study, tmp_path):
    variants = everything(study)
    annotations = np.zeros((len(variants), 3), np.float32)
    annotations[:4, 0] = np.nan
    schema = FeatureSchema(("dhs", "noise", "gaps"), run_digest="x")
    write_feature_store(tmp_path / "f.h5", schema, variants, Rows(annotations))
    summary = score_prior(config(study, tmp_path, features=tmp_path / "f.h5"))
    assert "dhs: missing for 4 variants, but never in training; they count as its mean" in (
        summary.warnings
    )


def test_existing_outputs_stay_and_inputs_are_never_replaced(study, tmp_path):
    (tmp_path / "x.snpvar_constrained.gz").write_text("mine")
    with pytest.raises(OutputError, match=r"x\.snpvar_constrained\.gz: exists"):
        score_prior(config(study, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["x.snpvar_constrained.gz"]
    score_prior(config(study, tmp_path, overwrite=True))
    options = {"traits": study.traits(), "output": study.height, "overwrite": True}
    with pytest.raises(UsageError, match="is the input"):
        score_prior(config(study, tmp_path, **options))
    with pytest.raises(UsageError, match="of which format"):
        score_prior(config(study, tmp_path, output=tmp_path / "x"))
