"""How figures are made and saved."""

import subprocess
import sys

import pytest

from tfgen.errors import OutputError, UsageError
from tfgen.plots.style import COLOURS, new_figure, save_figure


def test_a_figure_is_saved_in_the_format_of_its_suffix(tmp_path):
    figure = new_figure(2, 1)
    for name, start in (("a.png", b"\x89PNG"), ("a.pdf", b"%PDF")):
        save_figure(figure, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png"]


def test_a_folder_in_the_way_is_an_error(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OutputError, match="is a directory"):
        save_figure(new_figure(2, 1), tmp_path / "a.png")


def test_without_matplotlib_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r"pip install 'tfgen\[plot\]'"):
        new_figure(2, 1)


def test_importing_the_room_does_not_import_matplotlib():
    code = "import sys, tfgen.plots; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_global_state_is_touched():
    code = (
        "import sys; from tfgen.plots.style import new_figure; new_figure(2, 1)\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_colours_are_distinct():
    assert len(set(COLOURS)) == len(COLOURS)
