"""The engine with the full-size model and real variants, against two plain passes of each."""

import logging
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from effects.small_models import STATISTICS, geometry_of
from enformer.recipe import apply_recipe
from tfgen.effects import ScoringConfig
from tfgen.effects.engine import load_engine
from tfgen.effects.statistics import compute_statistics
from tfgen.enformer.checkpoint import write_checkpoint
from tfgen.enformer.config import EnformerConfig
from tfgen.enformer.model import Enformer
from tfgen.genome import (
    ContigNames,
    Fasta,
    check_variant,
    one_hot,
    read_variants,
    variant_window,
)

VCF = "haplotypes/shapeit4_chr20_b37/reference.vcf.gz"
FASTA = "genome/GRCh37_chr20_900k_4100k.fa.gz"
N_VARIANTS = 16


@pytest.fixture(scope="module")
def model(shared_data):
    """The full-size model with recipe weights."""
    averages = np.load(shared_data("enformer_graph/batchnorm_averages_cd44.npz"))
    model = Enformer(EnformerConfig())
    apply_recipe(model, averages)
    return model


@pytest.fixture(scope="module")
def windows(model, shared_data):
    """The first 16 substitutions and the first indel of a real file, in shared windows."""
    found = []
    geometry = geometry_of(model.config)
    with Fasta(shared_data(FASTA)) as fasta:
        names = ContigNames(fasta.contigs)
        records = [record.variant for record in islice(read_variants(shared_data(VCF)), 200)]
        substitutions = [v for v in records if v.is_substitution][:N_VARIANTS]
        indel = next(v for v in records if not v.is_substitution)
        for variant in [*substitutions, indel]:
            checked = check_variant(variant, fasta, names, 1000, "skip")
            window = geometry.window(checked.variant, "shared")
            found.append(variant_window(fasta, checked, window))
    assert len({window.window for window in found[:N_VARIANTS]}) == 1
    return found


def plain_scores(model, windows):
    """Both alleles through the whole model; a reference that was just predicted is not again."""
    predict = tf.function(lambda x: model(x, False)["human"], autograph=False)
    crop = geometry_of(model.config).crop
    rows, last = [], None
    for window in windows:
        if last is None or last[0] != window.ref_codes.tobytes():
            last = window.ref_codes.tobytes(), predict(one_hot(window.ref_codes[np.newaxis]))[0]
        alternative = predict(one_hot(window.alt_codes[np.newaxis]))[0].numpy()
        rows.append(
            compute_statistics(STATISTICS, last[1].numpy(), alternative, window.offset - crop)
        )
    return {name: np.stack([row[name] for row in rows]) for name in STATISTICS}


@pytest.mark.large
def test_real_variants_on_the_full_size_model(model, windows, tmp_path):
    prefix = write_checkpoint(model, tmp_path / "enformer")
    loaded = load_engine(
        ScoringConfig(
            model=Path(prefix),
            fasta=Path("unused.fa"),
            vcf=Path("unused.vcf"),
            output=Path("unused.h5"),
            windows="shared",
        )
    )
    engine = loaded.engine
    assert (engine.sequence_length, engine.target_length, engine.n_tracks) == (196_608, 896, 5313)
    found = engine.score(windows)

    # A score has the same bits alone, and equal alleles score exactly zero.
    alone = engine.score(windows[5:6])
    for name in STATISTICS:
        np.testing.assert_array_equal(alone[name][0], found[name][5])
    same = [replace(window, alt_codes=window.ref_codes.copy()) for window in windows[-2:]]
    for values in engine.score(same).values():
        np.testing.assert_array_equal(values, np.zeros((2, 5313), np.float32))

    expected = plain_scores(model, windows)
    deviations = {name: np.abs(found[name] - expected[name]).max() for name in STATISTICS}
    sizes = {name: np.abs(expected[name]).max() for name in STATISTICS}
    logging.getLogger(__name__).info("deviations %s of scores up to %s", deviations, sizes)
    # A plain pass has one sequence and the engine's two, which alone moves a value by 5e-6.
    assert deviations["SAD"] <= 2e-4
    assert deviations["SAR"] <= 2e-4
    assert deviations["tCRA"] <= 2e-5
