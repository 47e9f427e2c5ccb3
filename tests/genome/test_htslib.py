from pathlib import Path

import pysam
import pytest

from tfgen.genome.htslib import quiet_htslib


def test_htslib_is_silent_within_and_speaks_again_afterwards(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.fa"
    path.write_text("no FASTA\n")
    before = pysam.get_verbosity()
    with pytest.raises(pysam.SamtoolsError, match="Could not build"), quiet_htslib():
        pysam.faidx(str(path))
    assert capfd.readouterr().err == ""
    assert pysam.get_verbosity() == before
