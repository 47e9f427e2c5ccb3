import json
import math
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prior.sumstats_files import (
    FILES,
    IDS,
    PANEL,
    VARIANTS,
    N,
    Z,
    fastgwa,
    noise,
    rejects,
    run,
    write,
)
from tfgen.errors import (
    InputFormatError,
    InputMismatchError,
    InterruptedRunError,
    OutputError,
    TfgenError,
    TooManyRejectsError,
    UsageError,
)
from tfgen.io import StopRequest
from tfgen.prior.sumstats import munge as module
from tfgen.prior.sumstats import sumstats_panel
from tfgen.prior.sumstats.munge import munge
from tfgen.prior.sumstats.munge_config import MungeConfig
from tfgen.prior.sumstats.munged import read_munged


def panel(tmp_path, text=PANEL):
    return write(tmp_path / "panel.tsv", text)


@pytest.mark.parametrize("ending", ["txt", "gz"])
@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_z_scores(tmp_path, name, ending):
    summary, stats = run(tmp_path, FILES[name], f"in.{ending}", panel=panel(tmp_path))
    assert summary.columns.format == name
    assert summary.n_written == len(VARIANTS)
    assert stats.variants.id.tolist() == IDS
    np.testing.assert_allclose(stats.z, Z, rtol=1e-12)
    assert (stats.n == N).all()
    assert summary.matches["same"] == len(VARIANTS)


def test_without_a_panel_the_alleles_stay(tmp_path):
    _, stats = run(tmp_path, FILES["regenie"])
    assert stats.variants.alt.tolist() == [row[3] for row in VARIANTS]
    assert stats.variants.chrom.tolist() == [row[1] for row in VARIANTS]
    np.testing.assert_array_equal(stats.variants.af, [row[5] for row in VARIANTS])
    np.testing.assert_array_equal(stats.beta, [row[6] for row in VARIANTS])
    np.testing.assert_array_equal(stats.se, [row[7] for row in VARIANTS])


def swapped(rows):
    """The same statistics about the other allele."""
    return [
        (snp, chrom, pos, other, eff, round(1 - af, 12), -beta if beta else 0.0, se)
        for snp, chrom, pos, eff, other, af, beta, se in rows
    ]


@pytest.mark.parametrize("ending", ["tsv", "tsv.gz", "parquet"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(st.lists(st.booleans(), min_size=len(VARIANTS), max_size=len(VARIANTS)), st.randoms())
def test_swapped_alleles_and_another_order_give_the_same_bytes(tmp_path, ending, swap, random):
    rows = [
        swapped([row])[0] if change else row for row, change in zip(VARIANTS, swap, strict=True)
    ]
    random.shuffle(rows)
    settings = {"panel": panel(tmp_path), "overwrite": True}
    run(tmp_path, fastgwa(VARIANTS), output=f"a.{ending}", **settings)
    run(tmp_path, fastgwa(rows), output=f"b.{ending}", **settings)
    if ending == "parquet":  # its metadata counts the swaps
        left, right = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in "ab")
        pd.testing.assert_frame_equal(left, right, check_exact=True)
    else:
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


def test_munging_twice_changes_nothing(tmp_path):
    _, once = run(tmp_path, FILES["fastgwa"], output="a.tsv")
    _, twice = run(tmp_path, (tmp_path / "a.tsv").read_text(), output="b.tsv")
    assert (tmp_path / "a.tsv").read_bytes() == (tmp_path / "b.tsv").read_bytes()
    assert once.z.tolist() == twice.z.tolist()


def test_only_the_additive_test_of_plink2_and_regenie_counts(tmp_path):
    lines = FILES["plink2"].splitlines(keepends=True)
    more = [line.replace("\tADD\t", "\tSEX\t") for line in lines[1:]]
    summary, stats = run(tmp_path, "".join(lines + more))
    assert dict(summary.counts) == {"TEST": len(VARIANTS)}
    np.testing.assert_allclose(stats.z, Z)


def test_a_tiny_p_keeps_a_finite_z_and_p_zero_is_a_fault(tmp_path):
    text = "SNP\tCHR\tBP\tA1\tA2\tN\tBETA\tP\n"
    text += "".join(f"rs{i}\t1\t{i}\tA\tG\t9\t-1\t0.5\n" for i in range(1, 98))
    text += "tiny\t1\t98\tA\tG\t9\t-1\t1e-400\nzero\t1\t99\tA\tG\t9\t1\t0\n"
    summary, stats = run(tmp_path, text)
    assert dict(summary.counts) == {"P_ZERO": 1}
    # ln P = ln 2 + ln Q(z), with Q(z) = phi(z) / z (1 - 1 / z^2 + ...) to be solved for z.
    z = -stats.z[-1]
    log_q = -(z**2) / 2 - math.log(z * math.sqrt(2 * math.pi)) + math.log1p(-1 / z**2 + 3 / z**4)
    assert log_q + math.log(2) == pytest.approx(-400 * math.log(10), rel=1e-10)
    assert rejects(tmp_path) == [(100, "P_ZERO")]


def test_every_filter_is_counted_and_listed(tmp_path):
    extra = [
        ("info", "1", 3000, "A", "G", 0.3, 0.01, 0.01),
        ("maf", "1", 3100, "A", "G", 0.0001, 0.01, 0.01),
        ("hla", "6", 30_000_000, "A", "G", 0.3, 0.01, 0.01),
        ("pal", "7", 10, "A", "T", 0.3, 0.01, 0.01),
        ("freq", "7", 20, "A", "G", 0.3, 0.01, 0.01),
        ("other", "7", 30, "A", "G", 0.3, 0.01, 0.01),
        ("absent", "7", 40, "A", "G", 0.3, 0.01, 0.01),
    ]
    lines = fastgwa([*VARIANTS, *extra]).splitlines()
    info = ["INFO", *["0.9"] * len(VARIANTS), "0.5", *["NA"] * 6]
    text = "".join(f"{line}\t{value}\n" for line, value in zip(lines, info, strict=True))
    text = text.replace("rs8\tX\t700\tT\tC\t5000", "rs8\tX\t700\tT\tC\t3000")
    rows = "".join(f"{s}\t{c}\t{p}\t{a}\t{b}\t{f}\n" for s, c, p, a, b, f, *_ in extra[:4])
    place = panel(tmp_path, PANEL + rows + "freq\t7\t20\tA\tG\t0.6\nother\t7\t30\tA\tC\t0.3\n")
    settings = {"panel": place, "palindromic": "drop"}
    summary, stats = run(tmp_path, text, **settings)
    assert dict(summary.counts) == {
        "LOW_INFO": 1,
        "LOW_MAF": 1,
        "LOW_N": 1,
        "NOT_IN_PANEL": 1,
        "ALLELES_DIFFER": 1,
        "HLA": 1,
        "PALINDROMIC": 1,
        "FREQUENCY_DIFFERS": 1,
    }
    assert summary.n_faults == 0
    assert stats.variants.id.tolist() == IDS[:-1]
    assert sorted(rejects(tmp_path)) == [
        (9, "LOW_N"),
        (10, "LOW_INFO"),
        (11, "LOW_MAF"),
        (12, "HLA"),
        (13, "PALINDROMIC"),
        (14, "FREQUENCY_DIFFERS"),
        (15, "ALLELES_DIFFER"),
        (16, "NOT_IN_PANEL"),
    ]
    run(tmp_path, text, output="b.tsv", rejects="faults", **settings)
    assert rejects(tmp_path, "b.tsv") == []


def test_the_report_holds_all_counts(tmp_path):
    summary, stats = run(tmp_path, FILES["fastgwa"], panel=panel(tmp_path), build="GRCh38")
    report = json.loads((tmp_path / "out.tsv.run.json").read_text())
    results = report["results"]
    assert results == json.loads(json.dumps(summary.results()))
    assert results["build"] == "GRCh38"
    assert results["format"] == "fastgwa"
    assert results["columns"]["A1FREQ"] == "AF1"
    assert (results["n_read"], results["n_written"]) == (8, 8)
    assert results["median_n"] == N
    assert results["mean_chisq"] == pytest.approx(np.mean(Z**2))
    assert results["lambda_gc"] == pytest.approx(np.median(Z**2) / 0.4549)
    assert set(report["inputs"]) == {"input", "panel"}
    assert stats.info == results


def test_positions_can_come_from_the_panel_on_request(tmp_path):
    moved = FILES["fastgwa"].replace("\t1000\t", "\t9000\t")
    summary, stats = run(tmp_path, moved, panel=panel(tmp_path), match="id")
    assert stats.variants.pos[0] == 1000
    assert summary.n_written == 8
    summary, _ = run(tmp_path, moved, output="b.tsv", panel=panel(tmp_path))
    assert dict(summary.counts) == {"NOT_IN_PANEL": 1}


def test_the_sample_size_of_flags_comes_first(tmp_path):
    _, stats = run(tmp_path, FILES["ldsc"], panel=panel(tmp_path), n=77)
    assert set(stats.n) == {77}
    _, stats = run(
        tmp_path, FILES["ldsc"], output="b.tsv", panel=panel(tmp_path), n_cases=100, n_controls=300
    )
    np.testing.assert_allclose(stats.n, 300)


def bolt(ratio):
    header = "SNP CHR BP GENPOS ALLELE1 ALLELE0 A1FREQ BETA SE CHISQ_LINREG CHISQ_BOLT_LMM\n"
    rows = "".join(
        f"rs{i} 1 {i} 0 A G 0.3 {beta} 0.01 {chisq / ratio!r} {chisq}\n"
        for i, (beta, chisq) in enumerate(
            [(0.1, 100), (-0.08, 64), (0.06, 36), (-0.01, 1)], start=1
        )
    )
    return header.replace(" ", "\t") + rows.replace(" ", "\t")


def test_the_gain_of_bolt_lmm_multiplies_n_on_request(tmp_path):
    summary, stats = run(tmp_path, bolt(1.25), n=1000, n_eff="auto")
    assert summary.n_factor == pytest.approx(1.25)
    np.testing.assert_allclose(stats.n, 1250)
    np.testing.assert_allclose(stats.z, [10, -8, 6, -1])
    summary, stats = run(tmp_path, bolt(1.25), output="b.tsv", n=1000)
    assert (summary.n_factor, set(stats.n)) == (1, {1000})


@pytest.mark.parametrize(
    ("text", "settings", "error", "message"),
    [
        (FILES["ldsc"], {}, InputFormatError, "no columns CHR and BP; pass --panel"),
        (FILES["ldsc"], {"panel": 1, "match": "position"}, InputFormatError, "pass --match=id"),
        (
            "CHR BP A1 A2 Z N\n1 5 A G 1 5\n",
            {"panel": 1, "match": "id"},
            InputFormatError,
            "no column SNP; pass --match=position",
        ),
        ("SNP CHR BP A1 A2 Z\nrs1 1 5 A G 1\n", {}, UsageError, "pass --n, or --n_cases"),
        ("SNP CHR BP A1 A2 Z N\n", {}, InputFormatError, "no variants; expected a row"),
        (
            "SNP CHR BP A1 A2 Z N\nrs1 1 5 A G x 1\nrs2 1 6 A G 1 0\n",
            {},
            InputFormatError,
            r"no variant is left \(NUMBER 1, N_RANGE 1\)",
        ),
        (
            "SNP CHR BP A1 A2 Z N\nrs1 6 30000000 A G 1 5\n",
            {},
            InputFormatError,
            r"no variant is left \(HLA 1\)",
        ),
        (
            "SNP CHR BP A1 A2 Z N\nrs1 1 5 A G 1 5\n",
            {"panel": 1},
            InputMismatchError,
            r"has none of the 1 variants .* by position, which differs between builds; the panel "
            r"begins with 1:1000:G:A \(rs1\), the input with 1:5:G:A",
        ),
        (
            "SNP CHR BP A1 A2 Z N\nrs99 1 5 A G 1 5\n",
            {"panel": 1, "match": "id"},
            InputMismatchError,
            "looked for by identifier",
        ),
        (
            "SNP CHR BP A1 A2 Z N\nx 1 1000 A C 1 5\ny 1 2000 C A 1 5\nz 9 1 C A 1 5\n",
            {"panel": 1},
            InputMismatchError,
            r"has none of the 3 variants of .*: 2 have other alleles in the panel, and 1 are not "
            r"there at all \(1:1000:C:A \(x\), there 1:1000:G:A \(rs1\); 1:2000:A:C \(y\), there "
            r"1:2000:T:C \(rs2\)\); check which columns hold the alleles, and the build",
        ),
        (
            "SNP CHR BP A1 A2 Z N\nrs3 1 1 A G 1 5\n",
            {"panel": 1, "match": "id"},
            InputMismatchError,
            r"1 have other alleles in the panel, and 0 .* \(1:1:G:A \(rs3\), there 2:1500:T:G",
        ),
        (FILES["polyfun"], {"n_eff": "auto"}, InputFormatError, "no variant has CHISQ_BOLT_LMM"),
    ],
)
def test_what_cannot_be_munged_leaves_no_output(tmp_path, text, settings, error, message):
    if "panel" in settings:
        settings = {**settings, "panel": panel(tmp_path)}
    with pytest.raises(error, match=message):
        run(tmp_path, text, **settings)
    assert {path.name for path in tmp_path.iterdir()} <= {"in.txt", "panel.tsv"}


def test_a_panel_of_another_build_is_refused_unless_identifiers_decide(tmp_path, monkeypatch):
    monkeypatch.setattr(
        sumstats_panel,
        "_read_ld_store",
        lambda path: (sumstats_panel.read_panel(panel(tmp_path))[0], "GRCh37"),
    )
    store = tmp_path / "store"
    store.mkdir()
    with pytest.raises(InputMismatchError, match="is on GRCh37, but --build=GRCh38"):
        run(tmp_path, FILES["fastgwa"], panel=store, build="GRCh38")
    summary, _ = run(tmp_path, FILES["fastgwa"], panel=store, build="GRCh38", match="id")
    assert summary.build == "GRCh37"


def test_effects_that_do_not_fit_their_p_values_are_warned_of(tmp_path, capsys):
    text = fastgwa(noise()).replace("\t0.01\t0.5\n", "\t0.01\t1e-5\n")
    summary, _ = run(tmp_path, text, progress="lines")
    assert "times what the P value says" in summary.warnings[0]
    assert f"warning: {summary.warnings[0]}" in capsys.readouterr().err


def test_filters_without_their_columns_are_warned_of(tmp_path):
    summary, _ = run(tmp_path, FILES["ldsc"], panel=panel(tmp_path), qc=True)
    assert [note.split(": ")[1] for note in summary.warnings] == [
        "no frequencies, so --min_maf had no effect",
        "no frequency, BETA and SE together, so --qc had no effect",
    ]


def test_too_many_faults_are_told_after_the_output_is_complete(tmp_path):
    text = FILES["fastgwa"].replace("\t0.04\t", "\t0\t")
    with pytest.raises(TooManyRejectsError, match="complete, but 1 of 8 rows were faulty"):
        run(tmp_path, text)
    assert len(read_munged(tmp_path / "out.tsv")) == 7
    assert run(tmp_path, text, output="b.tsv", max_rejected_fraction=0.125)[0].n_faults == 1


def test_filters_are_no_faults(tmp_path):
    summary, _ = run(tmp_path, FILES["fastgwa"], min_maf=0.3, max_rejected_fraction=0)
    assert dict(summary.counts) == {"LOW_MAF": 4}


def test_an_existing_output_stays_unless_told(tmp_path):
    run(tmp_path, FILES["fastgwa"])
    with pytest.raises(OutputError, match="out.tsv: exists; .*--overwrite"):
        run(tmp_path, FILES["polyfun"])
    assert run(tmp_path, FILES["polyfun"], overwrite=True)[0].columns.format == "polyfun"
    (tmp_path / "dir.tsv").mkdir()
    with pytest.raises(OutputError, match="is not a plain file"):
        run(tmp_path, FILES["polyfun"], output="dir.tsv", overwrite=True)


def test_the_output_may_not_be_an_input(tmp_path):
    with pytest.raises(UsageError, match="is the input"):
        run(tmp_path, FILES["fastgwa"], name="out.tsv", overwrite=True)


@pytest.mark.parametrize("end", [".rejects.tsv", ".run.json", ".lock"])
def test_no_file_beside_the_output_may_be_an_input(tmp_path, end):
    name = f"out.tsv{end}"
    with pytest.raises(UsageError, match=f"{name}: is the input"):
        run(tmp_path, FILES["fastgwa"], name=name, overwrite=True)
    (tmp_path / name).write_text(PANEL)
    with pytest.raises(UsageError, match=f"{name}: is the input"):
        run(tmp_path, FILES["fastgwa"], panel=tmp_path / name, overwrite=True)
    assert (tmp_path / name).read_text() == PANEL


@pytest.mark.parametrize("end", [".rejects.tsv", ".run.json"])
def test_somebody_s_file_beside_the_output_stays(tmp_path, end):
    path = write(tmp_path / f"out.tsv{end}", "my notes")
    with pytest.raises(OutputError, match=f"out.tsv{end}: exists and no run of tfgen has written"):
        run(tmp_path, FILES["fastgwa"], overwrite=True)
    assert path.read_text() == "my notes"
    assert not (tmp_path / "out.tsv").exists()


def test_a_missing_package_is_told_before_the_input_is_read(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr(module, "read_input", None)
    with pytest.raises(UsageError, match="/out.parquet: writing parquet needs pyarrow"):
        run(tmp_path, FILES["fastgwa"], output="out.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


def test_sample_sizes_that_no_study_has_are_faults(tmp_path):
    text = FILES["fastgwa"].replace("rs8\t700\tT\tC\t5000", "rs8\t700\tT\tC\t1e308")
    summary, stats = run(tmp_path, text, max_rejected_fraction=0.2)
    assert dict(summary.counts) == {"N_RANGE": 1}
    assert stats.variants.id.tolist() == IDS[:-1]
    _, stats = run(tmp_path, FILES["fastgwa"], output="b.tsv", n=1e12)
    assert set(stats.n) == {1e12}


@pytest.mark.parametrize(("number", "name"), [(2, "SIGINT"), (15, "SIGTERM")])
def test_a_run_that_is_stopped_leaves_nothing_and_says_so(tmp_path, monkeypatch, number, name):
    def stop(self):
        raise InterruptedRunError("stopped; what was done is kept", number)

    monkeypatch.setattr(StopRequest, "raise_if_requested", stop)
    message = f"^stopped by {name}; nothing was written, run the same command to start again$"
    with pytest.raises(InterruptedRunError, match=message) as caught:
        run(tmp_path, FILES["fastgwa"])
    assert caught.value.exit_code == 128 + number
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


def test_a_run_that_is_stopped_while_writing_leaves_nothing_either(tmp_path, monkeypatch):
    def stop(self):
        raise InterruptedRunError("stopped", 15)

    def read(*arguments):
        found = original(*arguments)
        monkeypatch.setattr(StopRequest, "raise_if_requested", stop)
        return found

    original = module.read_input
    monkeypatch.setattr(module, "read_input", read)
    with pytest.raises(InterruptedRunError, match="stopped by SIGTERM; nothing was written"):
        run(tmp_path, FILES["fastgwa"])
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


def test_real_height_statistics_on_the_1000_genomes_panel(tmp_path, shared_data):
    # 4,402 same and 11,533 swapped, and 981 palindromic ones: counted with an independent script.
    folder = shared_data("gwas_ld/height_chr22")
    config = MungeConfig(
        input=folder / "ukb_height_chr22.fastGWA.gz",
        output=tmp_path / "height.tsv.gz",
        panel=folder / "1000G_eur_chr22.bim",
        progress="none",
    )
    summary = munge(config)
    matches = {"same": 4402, "swapped": 11533, "complement": 0, "complement_swapped": 0}
    assert dict(summary.matches) == matches
    assert dict(summary.counts) == {"PALINDROMIC": 981}
    assert (summary.kept_matches["same"], summary.kept_matches["swapped"]) == (4124, 10830)
    assert summary.n_written == 14954
    stats = read_munged(config.output)
    gwas = pd.read_csv(config.input, sep="\t").set_index("SNP").loc[stats.variants.id]
    bim = pd.read_csv(config.panel, sep="\t", header=None).set_index(1).loc[stats.variants.id]
    same = (gwas.A1 == bim[4]).to_numpy()
    assert (int(same.sum()), int((~same).sum())) == (4124, 10830)
    np.testing.assert_array_equal(stats.z, np.where(same, 1, -1) * gwas.BETA / gwas.SE)
    np.testing.assert_allclose(stats.variants.af, np.where(same, gwas.AF1, 1 - gwas.AF1))
    assert (stats.variants.alt == bim[4]).all()
    assert (stats.variants.ref == bim[5]).all()
    assert (stats.variants.pos == bim[3]).all()
    assert summary.mean_chisq == pytest.approx(np.mean((gwas.BETA / gwas.SE) ** 2))


def test_real_bolt_lmm_output(tmp_path, shared_data):
    folder = shared_data("gwas_ld/bolt_EUR_subset")
    config = MungeConfig(
        input=folder / "example.stats",
        output=tmp_path / "bolt.parquet",
        panel=folder / "EUR_subset.bim.gz",
        n=379,
        palindromic="keep",
        progress="none",
    )
    summary = munge(config)
    assert (summary.columns.format, summary.n_written, summary.counts) == ("bolt", 5475, {})
    assert summary.matches["same"] == 5475
    bolt = pd.read_csv(config.input, sep="\t")
    # One variant, of which all people are heterozygous, has BETA 0, SE -nan and P 1.
    np.testing.assert_allclose(read_munged(config.output).z, (bolt.BETA / bolt.SE).fillna(0))


def test_real_polyfun_table(tmp_path, shared_data):
    path = shared_data("gwas_ld/polyfun/RBC.sumstats.small.parquet")
    output = tmp_path / "rbc.parquet"
    with pytest.raises(InputFormatError, match="the median z-score is 0.134"):
        munge(MungeConfig(input=path, output=output, progress="none"))
    config = MungeConfig(
        input=path, output=output, allow_skewed=True, palindromic="keep", progress="none"
    )
    assert munge(config).n_written == 6419
    table = pd.read_parquet(path).sort_values(["BP", "A2", "A1"])
    stats = read_munged(output)
    assert stats.z.tolist() == table.Z.tolist()
    assert stats.variants.alt.tolist() == table.A1.tolist()


def test_real_meta_analysis_with_columns_of_other_names(tmp_path, shared_data):
    # GBMI asthma, GRCh38: allele2 is the effect allele, and columns count cases and controls.
    path = shared_data("gwas_ld/slalom_asthma_chr1/example.snp")
    settings = {"input": path, "min_n_fraction": 0, "min_maf": 0, "palindromic": "keep"}
    settings |= {"output": tmp_path / "asthma.tsv.gz", "progress": "none"}
    with pytest.raises(InputFormatError, match="allele1 and allele2 is the effect allele"):
        munge(MungeConfig(**settings))
    config = MungeConfig(**settings, columns=("A1:allele2", "A2:allele1"))
    assert munge(config).n_written == 1093
    table = pd.read_csv(path, sep="\t").sort_values(["position", "allele1", "allele2"])
    stats = read_munged(config.output)
    np.testing.assert_allclose(stats.z, table.beta / table.se)
    np.testing.assert_allclose(stats.n, 4 / (1 / table.n_cases + 1 / table.n_controls))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_a_damaged_file_is_munged_or_refused_deliberately(tmp_path, name, data):
    content = bytearray(FILES[name].encode())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(len(content) // 2, len(content))) :]
    try:
        summary, stats = run(tmp_path, bytes(content), overwrite=True, panel=panel(tmp_path), n=5)
    except TfgenError:
        return
    assert np.isfinite(stats.z).all()
    assert summary.n_read == summary.n_written + sum(summary.counts.values())
