"""Small studies: a panel of two contigs, few epochs."""

from prior.small_stores import make_blocks
from tfgen.prior.ld.ld_store_writer import save_ld_store
from tfgen.prior.study.study_config import StudyConfig
from tfgen.prior.study.study_records import FitRecord, Reference, StudyResults, keys


def write_ld(folder, **options):
    """An LD store of blocks side by side on the contigs 1 (learned from) and 2 (tested on)."""
    blocks, _ = make_blocks(**{"n_blocks": 10, "n": 30, "chroms": ("1", "2"), **options})
    save_ld_store(folder / "ld", {"build": "synthetic"}, blocks, q_dtype="float32")
    return folder / "ld"


def small(folder, **options):
    """The settings of a study of seconds on that store."""
    defaults = {
        "output": folder / "study",
        "ld": folder / "ld",
        "test_chrom": ("2",),
        "held_out_share": 0.3,
        "truths": ("ushape",),
        "mean_f": (0.5,),
        "control_mean_f": (),
        "seeds": 2,
        "n_features": 4,
        "hidden": (8,),
        "rates": (0.01, 0.03),
        "epochs": 2,
        "jobs": 0,
        "progress": "none",
    }
    return StudyConfig(**{**defaults, **options})


def made_up(config, nll):
    """Results of a study that nobody ran: nll(key) per test z-score, constant 1, truth 0.9."""
    settings = config.settings
    reference = Reference(0.5, 1000.0, 900.0, 1000, 2.0)
    fits = {
        key: FitRecord(1, 2, nll(key), 1000.0 * nll(key))
        for s in settings
        for key in keys(config, s)
    }
    return StudyResults(config, dict.fromkeys(settings, reference), fits)
