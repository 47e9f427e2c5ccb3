import subprocess
import sys
from pathlib import Path

import pytest

from tfgen.errors import UsageError
from tfgen.prior.features.features_config import FeaturesConfig


def config(**options):
    given = {"variants": Path("v.bim"), "output": Path("f.h5"), "maf": True} | options
    return FeaturesConfig(**given)


def test_defaults_and_numbers():
    assert config().bin_widths == (1, 16, 64, 256, 1024)
    assert config().tracks == ()
    assert config(bigwig_bins=("999999", "1")).bin_widths == (999_999, 1)
    assert config(score_tracks=("5", "0")).tracks == (5, 0)
    assert config(bed=("a.bed",), table=("t",)).sources == ("a.bed", "t")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maf": False}, "no source of features; give at least one of --annot"),
        ({"bigwig_mode": "middle"}, "bigwig_mode is 'middle'; use one of bins, window"),
        ({"bigwig_transform": "log"}, "use one of none, log1p, arcsinh"),
        ({"progress": "loud"}, "progress is 'loud'"),
        ({"min_coverage": 2.0}, "min_coverage is 2.0; expected a fraction"),
        ({"max_rejected_fraction": -1.0}, "max_rejected_fraction is -1.0"),
        ({"window": 0}, "window is 0; expected 1 to 65536"),
        ({"bigwig_bins": ("1", "0")}, "a width is 0"),
        ({"bigwig_bins": ()}, "bigwig_bins is ''; expected whole numbers"),
        ({"bigwig_bins": ("1", "99999999999")}, "100000000000 bases in all widths .* most 1000000"),
        ({"bigwig_bins": ("9" * 5000,)}, "expected whole numbers"),
        ({"score_tracks": ("9" * 19,)}, "score_tracks is '9999999999999999999'; expected whole"),
        ({"bigwig_bins": ("x",)}, "bigwig_bins is 'x'"),
        ({"score_tracks": ("all", "5")}, "score_tracks is 'all,5'; expected whole numbers"),
        ({"score_components": -1}, "score_components is -1"),
        ({"ld_score": True}, "ld_score needs the panel; give --ld_store too"),
    ],
)
def test_values_without_meaning_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        config(**options)


def test_settings_need_no_library():
    code = "import sys, tfgen.prior.features.features_config; sys.exit('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == 0
