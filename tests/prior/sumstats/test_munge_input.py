"""What only reading can tell; the whole run is in test_munge.py."""

import numpy as np
import pytest

from prior.sumstats_files import FILES, PANEL, VARIANTS, fastgwa, noise, run, write
from tfgen.errors import InputFormatError
from tfgen.io import Progress, RejectLog, StopRequest
from tfgen.prior.sumstats import sumstats_reader
from tfgen.prior.sumstats.munge_config import MungeConfig
from tfgen.prior.sumstats.munge_input import Panel, read_input
from tfgen.prior.sumstats.munge_ledger import Ledger
from tfgen.prior.sumstats.sumstats_panel import read_panel


def test_effects_that_lean_to_one_side_stop_the_run(tmp_path):
    with pytest.raises(InputFormatError, match=r"the median z-score is 0\.\d+, .* --allow_skewed"):
        run(tmp_path, fastgwa(noise(shift=0.3)))
    assert run(tmp_path, fastgwa(noise(shift=0.3)), allow_skewed=True)[0].n_written == 1500
    assert run(tmp_path, fastgwa(noise()), output="b.tsv")[0].n_written == 1500
    # Too few to tell.
    assert run(tmp_path, fastgwa(noise(900, 0.3)), output="c.tsv")[0].n_written == 900


def test_odds_ratios_lean_too(tmp_path):
    rows = "".join(f"rs{i}\t1\t{i}\tA\tG\t9\t{1.3 if i % 9 else 0.8}\t5\n" for i in range(1, 1500))
    with pytest.raises(
        InputFormatError, match="the median odds ratio is 1.3, expected about 1; check that OR"
    ):
        run(tmp_path, "SNP\tCHR\tBP\tA1\tA2\tN\tOR\tSE\n" + rows)


def read(tmp_path, text, rows, **settings):
    """Reads a text with some rows of the panel."""
    lines = PANEL.splitlines(keepends=True)
    path = write(tmp_path / "panel.tsv", "".join(lines[row] for row in (0, *rows)))
    config = MungeConfig(
        input=write(tmp_path / "in.txt", text), output=tmp_path / "o.tsv", panel=path, **settings
    )
    panel = Panel(*read_panel(path))
    ledger = Ledger(RejectLog())
    with Progress(None, "reading", "rows", mode="none") as progress:
        found = read_input(config, panel, ledger, progress, StopRequest())
    return found, ledger.counts


def test_only_what_may_be_in_the_panel_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(sumstats_reader, "_BLOCK_BYTES", 1)
    found, counts = read(tmp_path, FILES["fastgwa"], rows=(2, 8))
    assert found.records.variants.id.tolist() == ["rs2", "rs8"]
    assert counts == {"NOT_IN_PANEL": len(VARIANTS) - 2}
    # What is judged as a whole does not depend on the panel.
    assert len(found.n) == found.n_rows == len(VARIANTS)
    assert found.example == "1:1000:G:A (rs1)"


def test_the_gain_of_bolt_lmm_is_that_of_all_variants(tmp_path):
    text = "SNP CHR BP ALLELE1 ALLELE0 BETA SE CHISQ_LINREG CHISQ_BOLT_LMM\n"
    text += "rs1 1 1000 A G 1 0.1 80 100\nrs2 9 9 A G 1 0.1 50 60\nrs3 9 10 A G 1 0.1 9 9\n"
    found, _ = read(tmp_path, text, rows=(1,), n=10)
    np.testing.assert_allclose(found.bolt_ratio, [1.25, 1.2])
    assert len(found.records) == 1
