import hashlib
import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import tfgen
from tfgen.errors import OutputError
from tfgen.io import provenance
from tfgen.io.provenance import RunReport, input_fingerprint, library_versions


def test_versions_are_those_of_the_installed_libraries():
    import numpy as np

    versions = library_versions()
    assert versions["tfgen"] == tfgen.__version__
    assert versions["numpy"] == np.__version__
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))


def test_a_library_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr(provenance, "LIBRARIES", ("numpy", "no-such-library"))
    assert set(library_versions()) == {"tfgen", "python", "numpy"}


def test_versions_import_no_library():
    code = (
        "import sys; from tfgen.io import library_versions; library_versions(); "
        "print(sorted({'numpy', 'tensorflow', 'pandas', 'h5py'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_fingerprint_of_a_file(tmp_path, monkeypatch):
    (tmp_path / "a.fa").write_bytes(b">c\nACGT\n")
    monkeypatch.chdir(tmp_path)
    assert input_fingerprint(Path("a.fa")) == {
        "path": str(tmp_path / "a.fa"),
        "size": 8,
        "sha256": hashlib.sha256(b">c\nACGT\n").hexdigest(),
    }


def test_fingerprint_of_a_directory_covers_all_files_below_it(tmp_path):
    (tmp_path / "variables").mkdir()
    (tmp_path / "model.json").write_bytes(b"{}")
    (tmp_path / "variables" / "data").write_bytes(b"123")
    lines = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in [("model.json", b"{}"), ("variables/data", b"123")]
    )
    found = input_fingerprint(tmp_path)
    assert found["size"] == 5
    assert found["sha256"] == hashlib.sha256(lines.encode()).hexdigest()


def test_fingerprint_of_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        input_fingerprint(tmp_path / "none")


def test_the_report_holds_what_was_run_and_how_long_it_took(tmp_path):
    start = datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)
    times = iter([start, start + timedelta(hours=1, milliseconds=1500)])
    report = RunReport(
        command="variants_score",
        flags={"model": Path("model"), "stats": ("SAD", "SAR")},
        inputs={"vcf": {"size": 3}},
        seeds={"verify": 7},
        now=lambda: next(times),
    )
    report.results["n_rows"] = 12
    report.write(tmp_path / "run.json")
    written = json.loads((tmp_path / "run.json").read_text())
    assert written.pop("versions") == library_versions()
    assert written == {
        "command": "variants_score",
        "flags": {"model": "model", "stats": ["SAD", "SAR"]},
        "inputs": {"vcf": {"size": 3}},
        "seeds": {"verify": 7},
        "results": {"n_rows": 12},
        "host": socket.gethostname(),
        "started": "2024-02-29T23:59:59+00:00",
        "finished": "2024-03-01T01:00:00+00:00",
        "seconds": 3601.5,
    }


def test_inputs_and_flags_may_have_names_that_are_no_utf_8(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / os.fsdecode(b"\xff.vcf")).write_text("x")
    inputs = {str(path): input_fingerprint(path) for path in (folder, *folder.iterdir())}
    RunReport("x", {"vcf": folder}, inputs).write(tmp_path / "run.json")
    written = json.loads((tmp_path / "run.json").read_text(encoding="ascii"))
    assert written["flags"] == {"vcf": str(folder)}
    assert written["inputs"] == inputs
    assert len(inputs) == 2


def test_the_report_uses_the_present_time_by_default(tmp_path):
    before = datetime.now(UTC)
    report = RunReport("x", {})
    assert before <= report.started <= datetime.now(UTC)


def test_a_report_that_cannot_be_written_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        RunReport("x", {}).write(tmp_path / "none" / "run.json")
