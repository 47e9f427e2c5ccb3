"""The memory that may be taken."""

from tfgen.prior.ld.memory import allowed_bytes


def test_what_is_asked_for_is_allowed():
    assert allowed_bytes(1.5) == 1_500_000_000


def test_nine_tenths_of_what_is_free(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  99 kB\nMemAvailable:    1000 kB\n")
    assert allowed_bytes(0, meminfo, tmp_path) == 921_600


def test_the_limit_of_a_container_counts(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemAvailable:    1000 kB\n")
    (tmp_path / "memory.max").write_text("600000\n")
    (tmp_path / "memory.current").write_text("100000\n")
    assert allowed_bytes(0, meminfo, tmp_path) == 450_000
    (tmp_path / "memory.max").write_text("max\n")
    assert allowed_bytes(0, meminfo, tmp_path) == 921_600


def test_without_meminfo_the_size_of_the_machine_is_taken(tmp_path):
    (tmp_path / "bad").write_text("MemAvailable: many kB\n")
    whole = allowed_bytes(0, tmp_path / "nothing", tmp_path)
    assert whole == allowed_bytes(0, tmp_path / "bad", tmp_path) > 10**8
    (tmp_path / "other").write_text("MemTotal: 5 kB\n")
    assert allowed_bytes(0, tmp_path / "other", tmp_path) == whole


def test_this_machine_has_some():
    assert allowed_bytes(0) > 10**7
