from dataclasses import fields
from pathlib import Path

import pytest

from tfgen.effects import ScoringConfig
from tfgen.errors import UsageError

INPUTS = {name: Path(name) for name in ("model", "fasta", "vcf", "output")}


def test_the_four_files_are_enough():
    config = ScoringConfig(**INPUTS)
    assert config.statistics == ("SAD", "SAR", "tCRA")
    assert config.windows == "centred"
    assert config.max_indel == 40_960
    assert config.max_rejected_fraction == 0.05


def test_every_setting_has_a_help_text():
    assert all(field.metadata["help"].endswith(".") for field in fields(ScoringConfig))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"windows": "middle"}, "windows is 'middle'; use one of centred, shared"),
        ({"ref_policy": "flip"}, "ref_policy is 'flip'; use one of skip, swap, error"),
        ({"on_bad_record": "skip"}, "on_bad_record is 'skip'; use one of keep, error"),
        ({"variants_format": "bed"}, "variants_format is 'bed'; use one of auto, vcf, bcf, tsv"),
        ({"progress": "dots"}, "progress is 'dots'"),
        ({"max_rejected_fraction": 1.1}, "max_rejected_fraction is 1.1; expected a fraction"),
        ({"max_n_fraction": -0.1}, "max_n_fraction is -0.1"),
        ({"verify_fraction": float("nan")}, "verify_fraction is nan"),
        ({"batch_size": -1}, "batch_size is -1; expected 1 or more, or 0"),
        ({"max_indel": -1}, "max_indel is -1; expected 0 or more"),
        ({"statistics": ("SED",)}, "statistic 'SED' is unknown"),
        ({"num_shards": 2, "shard_index": 2}, "shard_index 2 of num_shards 2"),
        ({"rows": "7"}, "rows '7'"),
        ({"rows": "0:7", "num_shards": 2}, "rows and num_shards both choose rows"),
    ],
)
def test_settings_without_meaning_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        ScoringConfig(**INPUTS, **settings)
