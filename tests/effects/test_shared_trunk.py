"""The engine against two plain passes of the model and the NumPy statistics.

Tolerances come from float32 noise: one kernel sums in another order than another. The largest
deviations seen over 2,500 variants were 9.3e-6 in SAD, 3.3e-6 in SAR and 2.2e-6 in tCRA, on scores
of up to 9.2, 2.9 and 4.5 (medians 0.3, 0.1 and 0.1); the tests allow about five times that.
"""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from effects.small_models import (
    CONFIG,
    STATISTICS,
    TINY,
    SmallGenome,
    plain_scores,
    random_contig,
    random_enformer,
)
from tfgen.effects.passes import EnformerPasses
from tfgen.effects.shared_trunk import SharedTrunkEngine
from tfgen.errors import NumericalError, UsageError
from tfgen.genome import Interval, Variant, VariantWindow

NOISE = {"SAD": 5e-5, "SAR": 2e-5, "tCRA": 1e-5}
MODES = ["centred", "shared"]
LENGTH = CONFIG.sequence_length
MIDDLE = LENGTH // 2


@pytest.fixture(scope="module")
def model():
    return random_enformer()


@pytest.fixture(scope="module")
def engine_for(model):
    """Engines by their settings; each is traced once."""
    engines = {}

    def find(mode="centred", batch_size=4, statistics=STATISTICS, organism="human", tracks=None):
        key = (mode, batch_size, statistics, organism, tracks)
        if key not in engines:
            engines[key] = SharedTrunkEngine(
                model, organism, statistics, tracks=tracks, windows=mode, batch_size=batch_size
            )
        return engines[key]

    return find


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    """chr1 of 20,000 bases, and chrR with two ambiguous bases: R at 3001 and Y at 3051."""
    ambiguous = list(random_contig(6000, 2))
    ambiguous[3000], ambiguous[3050] = "R", "Y"
    contigs = {"chr1": random_contig(20_000, 1), "chrR": "".join(ambiguous)}
    return SmallGenome(tmp_path_factory.mktemp("genome") / "genome.fa", contigs)


@pytest.fixture(scope="module")
def mixed(genome):
    """Variants of every class: SNVs, blocks, a long block, indels, both ends of the contig."""
    variants = [genome.substitution("chr1", pos) for pos in (1, 400, 8000, 8001, 8127, 8129, 8200)]
    variants += [genome.substitution("chr1", 8100 + i, length) for i, length in ((0, 2), (90, 60))]
    variants += [
        genome.substitution("chr1", 8300, 300),
        genome.substitution("chr1", 20_000),
        genome.variant("chr1", 8050, 1, "ACGT"),
        genome.variant("chr1", 8060, 30, genome.contigs["chr1"][8059]),
        genome.variant("chr1", 8070, 5, "CC"),
        genome.variant("chr1", 19_990, 11, "T"),
        genome.variant("chr1", 3, 1, "TTTTTTTTTT"),
    ]
    return variants


def assert_close(found, expected):
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], values, rtol=0, atol=NOISE[name])


def assert_same_bits(found, expected):
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name].view(np.int32), values.view(np.int32))


def assert_not_tiny(scores):
    """Differences that must be found are far above the noise."""
    for name, values in scores.items():
        assert np.median(np.abs(values)) > 100 * NOISE[name]


# --- Against full recomputation ----------------------------------------------------------------


@pytest.mark.parametrize(("mode", "step"), [("shared", 1), ("centred", 5)])
def test_substitutions_at_all_128_phases_of_one_window(engine_for, genome, model, mode, step):
    interval = Interval("chr1", 6016, 6016 + LENGTH)
    starts = range(6016 + MIDDLE, 6016 + MIDDLE + 128, step)
    variants = [genome.substitution("chr1", start + 1) for start in starts]
    windows = [genome.window(variant, interval) for variant in variants]
    found = engine_for(mode).score(windows)
    assert_close(found, plain_scores(model, windows))
    assert_not_tiny(found)


@pytest.mark.parametrize("length", [2, 5, 64, 123, 127, 128, 129, 200])
def test_block_substitutions_at_many_phases(engine_for, genome, model, length):
    interval = Interval("chr1", 6016, 6016 + LENGTH)
    starts = range(6016 + MIDDLE, 6016 + MIDDLE + 128, 9)
    windows = [
        genome.window(genome.substitution("chr1", start + 1, length), interval) for start in starts
    ]
    assert_close(engine_for("shared").score(windows), plain_scores(model, windows))


@pytest.mark.parametrize("mode", MODES)
def test_every_class_of_variant_in_its_own_window(engine_for, genome, model, mixed, mode):
    windows = genome.windows(mixed, mode)
    found = engine_for(mode).score(windows)
    assert_close(found, plain_scores(model, windows))
    assert_not_tiny(found)


def test_substitutions_next_to_the_ends_of_a_window(engine_for, genome, model):
    interval = Interval("chr1", 6000, 6000 + LENGTH)
    bases = [0, 1, 2, 3, 130, 386, 387, 640, 4095, 4094, 4000, 3710, 3709, 3500]
    windows = [
        genome.window(genome.substitution("chr1", 6000 + base + 1), interval) for base in bases
    ]
    found = engine_for("shared", statistics=("SAD", "SAR")).score(windows)
    assert_close(found, plain_scores(model, windows, ("SAD", "SAR")))


def test_windows_that_reach_past_a_short_contig(engine_for, model, tmp_path):
    genome = SmallGenome(tmp_path / "short.fa", {"chr1": random_contig(2500, 3)})
    variants = [genome.substitution("chr1", pos) for pos in (1, 2, 1250, 2499, 2500)]
    variants += [genome.variant("chr1", 2490, 11, "A"), genome.variant("chr1", 1, 2, "A")]
    for mode in MODES:
        windows = genome.windows(variants, mode)
        assert all(window.n_padded for window in windows)
        assert_close(engine_for(mode).score(windows), plain_scores(model, windows))


@pytest.mark.parametrize("mode", MODES)
def test_a_thousand_random_variants(tmp_path, mode):
    model = random_enformer(TINY)
    genome = SmallGenome(tmp_path / "genome.fa", {"chr1": random_contig(30_000, 4)})
    rng = np.random.default_rng(5)
    variants = []
    for kind, pos in zip(rng.integers(0, 10, 1000), rng.integers(1, 29_000, 1000), strict=True):
        length = int(rng.integers(1, 40))
        if kind < 7:
            variants.append(genome.substitution("chr1", int(pos), 1 if kind < 6 else length))
        else:
            n_ref = 1 if kind == 7 else length
            alt = "".join(rng.choice(list("ACGT"), 1 if kind == 8 else 40 - length))
            variant = genome.variant("chr1", int(pos), n_ref, alt)
            if variant.ref == alt:
                variant = genome.variant("chr1", int(pos), n_ref, alt + "A")
            variants.append(variant)
    windows = genome.windows(variants, mode, TINY)
    engine = SharedTrunkEngine(model, "human", STATISTICS, windows=mode, batch_size=16)
    found = engine.score(windows)
    assert_close(found, plain_scores(model, windows))


@pytest.mark.parametrize("batch_size", [1, 3])
def test_any_batch_size_gives_the_same_scores(engine_for, genome, model, mixed, batch_size):
    windows = genome.windows(mixed, "shared")
    found = engine_for("shared", batch_size).score(windows)
    assert_close(found, plain_scores(model, windows))


@pytest.mark.parametrize(("organism", "tracks"), [("mouse", None), ("human", (4, 0, 2))])
def test_other_heads_and_some_tracks(engine_for, genome, model, mixed, organism, tracks):
    engine = engine_for(organism=organism, tracks=tracks)
    windows = genome.windows(mixed[5:13], "centred")
    found = engine.score(windows)
    assert_close(found, plain_scores(model, windows, organism=organism, tracks=tracks))
    assert found["SAD"].shape == (8, engine.n_tracks)
    assert engine.n_tracks == (len(tracks) if tracks else 3)


@pytest.mark.parametrize(("mode", "names"), [("centred", ("SAD",)), ("shared", ("tCRA", "SAR"))])
def test_any_choice_of_statistics(engine_for, genome, model, mixed, names, mode):
    windows = genome.windows(mixed[5:13], mode)
    found = engine_for(mode, statistics=names).score(windows)
    assert_close(found, plain_scores(model, windows, names))


def test_a_model_without_transformer_and_with_max_pooling(genome, mixed):
    config = replace(CONFIG, num_transformer_layers=0, pooling_type="max")
    model = random_enformer(config)
    windows = genome.windows(mixed, "shared")
    engine = SharedTrunkEngine(model, "human", STATISTICS, windows="shared", batch_size=2)
    assert_close(engine.score(windows), plain_scores(model, windows))


def test_a_model_with_fewer_bins_than_a_block_is_scored_in_full(genome):
    config = replace(CONFIG, sequence_length=1024, target_length=4)
    model = random_enformer(config)
    windows = genome.windows([genome.substitution("chr1", p) for p in (600, 700)], "shared", config)
    engine = SharedTrunkEngine(model, "human", STATISTICS, windows="shared", batch_size=2)
    assert_close(engine.score(windows), plain_scores(model, windows))


def test_the_self_check_recomputes_in_full(engine_for, genome, model, mixed):
    windows = genome.windows(mixed, "shared")
    engine = engine_for("shared")
    full = engine.score_in_full(windows)
    assert_close(full, plain_scores(model, windows))
    assert_close(full, engine.score(windows))


# --- Exactly nothing ----------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "batch_size"), [("centred", 4), ("shared", 1), ("shared", 4)])
def test_equal_alleles_score_exactly_zero(engine_for, genome, mixed, mode, batch_size):
    windows = genome.windows(mixed, mode)
    same = [replace(window, alt_codes=window.ref_codes.copy()) for window in windows]
    engine = engine_for(mode, batch_size)
    for score in (engine.score, engine.score_in_full):
        # Among others, so that the alleles stand at different places of a batch.
        scores = score([w for pair in zip(windows, same, strict=True) for w in pair])
        for values in scores.values():
            np.testing.assert_array_equal(values[1::2], 0)
            assert np.all(values[::2] != 0)


def test_an_insertion_that_leaves_the_window_as_it_is_scores_exactly_zero(engine_for, tmp_path):
    genome = SmallGenome(tmp_path / "genome.fa", {"chr1": "A" * 10_000})
    variants = [genome.variant("chr1", 5000, 1, "AA"), genome.variant("chr1", 5001, 3, "A")]
    scores = engine_for().score(genome.windows(variants, "centred"))
    assert all((values == 0).all() for values in scores.values())


# --- Independence of company --------------------------------------------------------------------


# An unfilled batch shows in the last bits of these: of the first in the tower, of the second after.
NARROW = replace(TINY, channels=60)
LONG = replace(TINY, sequence_length=8192, target_length=36, basis_length=64)


@pytest.mark.parametrize(
    ("config", "mode", "batch_size"),
    [(CONFIG, "shared", 4), (NARROW, "centred", 2), (LONG, "shared", 1)],
    ids=["usual", "narrow", "long"],
)
def test_a_score_does_not_depend_on_its_company(genome, mixed, config, mode, batch_size):
    windows = genome.windows(mixed, mode, config)
    model = random_enformer(config)
    engine = SharedTrunkEngine(model, "human", STATISTICS, windows=mode, batch_size=batch_size)
    alone = [engine.score([window]) for window in windows]
    expected = {name: np.concatenate([one[name] for one in alone]) for name in STATISTICS}
    assert_same_bits(engine.score(windows), expected)

    @settings(max_examples=12)
    @given(
        st.lists(st.integers(0, len(windows) - 1), min_size=1, max_size=2 * len(windows)),
        st.lists(st.integers(1, 9), min_size=1),
    )
    def any_company(order, sizes):
        """Any variants in any order, repeated too, in calls of any sizes."""
        found = {name: [] for name in STATISTICS}
        rest = list(order)
        for size in itertools.cycle(sizes):
            if not rest:
                break
            scores = engine.score([windows[row] for row in rest[:size]])
            del rest[:size]
            for name in STATISTICS:
                found[name].append(scores[name])
        for name in STATISTICS:
            together = np.concatenate(found[name])
            np.testing.assert_array_equal(
                together.view(np.int32), expected[name][order].view(np.int32)
            )

    any_company()


# --- Shared windows -----------------------------------------------------------------------------


class PassCounts(dict):
    """How many sequences went through each kind of pass."""

    def reset(self):
        self.update(towers=0, changes=0, predictions=0)


@pytest.fixture
def counts(monkeypatch):
    """Counts of all passes of the test."""
    found = PassCounts(towers=0, changes=0, predictions=0)

    def counting(name, plain):
        def wrapped(self, sequences, *others):
            found[name] += len(sequences)
            return plain(self, sequences, *others)

        return wrapped

    for name in found:
        monkeypatch.setattr(EnformerPasses, name, counting(name, getattr(EnformerPasses, name)))
    return found


@pytest.fixture
def shared_engine(engine_for, genome, counts):
    """An engine for shared windows that has kept none of those around 8000."""
    engine = engine_for("shared", 2)
    engine.score(genome.windows([genome.substitution("chr1", p) for p in (2000, 4000)], "shared"))
    counts.reset()
    return engine


# Tile 31 of 256 bases has the starts 7936 to 8191.
TILE = (7937, 8192)


def test_variants_of_one_window_cost_one_tower(shared_engine, genome, model, counts):
    variants = [genome.substitution("chr1", pos) for pos in (*TILE, 8000, 8001, 8002, 8050)]
    windows = genome.windows(variants, "shared")
    found = shared_engine.score(windows)
    assert counts == {"towers": 1, "changes": 6, "predictions": 7}
    assert_close(found, plain_scores(model, windows))


def test_alternatives_of_one_centred_window_cost_one_tower(engine_for, genome, counts):
    base = genome.contigs["chr1"][7999]
    variants = [Variant("chr1", 8000, base, alt) for alt in "ACGT" if alt != base]
    engine_for().score(genome.windows(variants, "centred"))
    assert counts == {"towers": 1, "changes": 3, "predictions": 4}


def test_a_window_is_kept_between_calls(shared_engine, genome, model, counts):
    windows = genome.windows([genome.substitution("chr1", p) for p in range(*TILE, 50)], "shared")
    parts = [shared_engine.score(windows[:1]), shared_engine.score(windows[1:])]
    assert counts == {"towers": 1, "changes": 6, "predictions": 7}
    found = {name: np.concatenate([part[name] for part in parts]) for name in STATISTICS}
    fresh = SharedTrunkEngine(model, "human", STATISTICS, windows="shared", batch_size=2)
    assert_same_bits(found, fresh.score(windows))


def test_only_the_last_windows_are_kept(shared_engine, genome, counts):
    one, two, three = (
        genome.windows([genome.substitution("chr1", pos)], "shared") for pos in (8000, 9000, 10_000)
    )
    for windows, towers in ((one, 1), (two, 2), (one, 2), (three, 3), (one, 3), (two, 4)):
        shared_engine.score(windows)
        assert counts["towers"] == towers


def test_nothing_is_kept_of_centred_windows(engine_for, genome, counts):
    windows = genome.windows([genome.substitution("chr1", 8000)], "centred")
    engine = engine_for()
    engine.score(windows)
    engine.score(windows)
    assert counts["towers"] == 2


def test_indels_and_long_blocks_take_the_whole_tower(engine_for, genome, counts):
    variants = [
        genome.variant("chr1", 8000, 1, "ACGT"),
        genome.variant("chr1", 8000, 9, "A"),
        genome.substitution("chr1", 8000, 200),
    ]
    engine_for().score(genome.windows(variants, "centred"))
    # All three share the reference of one centred window.
    assert counts == {"towers": 4, "changes": 0, "predictions": 4}


def test_the_self_check_uses_nothing_kept_or_patched(engine_for, genome, counts):
    windows = genome.windows([genome.substitution("chr1", p) for p in (8000, 8001)], "shared")
    engine = engine_for("shared")
    engine.score(windows)
    counts.reset()
    engine.score_in_full(windows)
    assert counts == {"towers": 4, "changes": 0, "predictions": 4}


def test_different_references_in_one_window_are_not_confused(engine_for, genome, model):
    # The genome has R at 3001 and Y at 3051; each variant resolves one of them in its own
    # reference sequence, and a third variant neither.
    variants = [
        Variant("chrR", 3001, "A", "C"),
        Variant("chrR", 3051, "C", "A"),
        genome.substitution("chrR", 2990),
        Variant("chrR", 3001, "G", "C"),
    ]
    interval = Interval("chrR", 1000, 1000 + LENGTH)
    windows = [genome.window(variant, interval) for variant in variants]
    assert len({window.ref_codes.tobytes() for window in windows}) == 4
    engine = engine_for("shared")
    expected = plain_scores(model, windows)
    assert_close(engine.score(windows), expected)
    for row in (0, 1, 2, 3, 0, 2):
        one = {name: values[row : row + 1] for name, values in expected.items()}
        assert_close(engine.score([windows[row]]), one)


# --- tCRA alone ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "bins"), [("centred", 2), ("shared", 5)])
def test_tcra_alone_predicts_only_the_bins_it_needs(engine_for, genome, mixed, mode, bins):
    windows = genome.windows(mixed, mode)
    alone = engine_for(mode, statistics=("tCRA",))
    passes = alone._passes
    predictions = passes.predictions(passes.towers([windows[0].ref_codes]))
    assert predictions[0].shape == (bins, 5)
    found, whole = alone.score(windows), engine_for(mode).score(windows)
    np.testing.assert_allclose(found["tCRA"], whole["tCRA"], rtol=0, atol=NOISE["tCRA"])


# --- Out of memory ------------------------------------------------------------------------------


@pytest.fixture
def failing(monkeypatch):
    """Makes passes of more than a number of windows run out of memory."""

    def fail_above(size, method):
        plain = getattr(EnformerPasses, method)

        def wrapped(self, sequences, *others):
            if self.batch_size > size:
                raise tf.errors.ResourceExhaustedError(None, None, "out of memory")
            return plain(self, sequences, *others)

        monkeypatch.setattr(EnformerPasses, method, wrapped)

    return fail_above


@pytest.mark.parametrize("method", ["changes", "predictions"])
def test_out_of_memory_halves_the_batch_and_says_so(genome, failing, method):
    # Batches of 5 and of 2 give this model's tower other last bits: nothing may be left over.
    model = random_enformer(TINY)
    variants = [genome.substitution("chr1", pos) for pos in range(8065, 8190, 20)]
    windows = genome.windows(variants, "shared", TINY)
    settings = {"windows": "shared", "batch_size": 5, "notify": (lines := []).append}
    expected = SharedTrunkEngine(model, "human", STATISTICS, **settings | {"batch_size": 2})
    expected = expected.score(windows)
    engine = SharedTrunkEngine(model, "human", STATISTICS, **settings)
    failing(2, method)
    assert_same_bits(engine.score(windows), expected)
    assert engine.batch_size == 2
    assert lines == ["out of memory: batch size 5 -> 2"]
    assert_same_bits(engine.score(windows[3:]), {n: v[3:] for n, v in expected.items()})
    assert len(lines) == 1


def test_the_batch_shrinks_as_often_as_it_must(genome, mixed, model, failing):
    lines = []
    engine = SharedTrunkEngine(
        model, "human", ("SAD",), windows="centred", batch_size=8, notify=lines.append
    )
    failing(1, "towers")
    windows = genome.windows(mixed[:3], "centred")
    found = engine.score_in_full(windows)
    assert_close(found, plain_scores(model, windows, ("SAD",)))
    assert [line.rpartition(":")[2] for line in lines] == [
        " batch size 8 -> 4",
        " batch size 4 -> 2",
        " batch size 2 -> 1",
    ]


def test_no_memory_for_one_window_is_an_error(engine_for, genome, mixed, failing):
    failing(0, "towers")
    windows = genome.windows(mixed[:1], "centred")
    with pytest.raises(NumericalError, match="too little memory for one window of this model"):
        engine_for(batch_size=1).score(windows)


# --- The engine itself --------------------------------------------------------------------------


def test_an_engine_says_what_it_needs_and_gives(engine_for):
    engine = engine_for("shared", 7, organism="mouse")
    assert (engine.statistics, engine.n_tracks, engine.batch_size) == (STATISTICS, 3, 7)
    assert (engine.sequence_length, engine.target_length) == (4096, 16)


def test_an_unknown_head_is_refused(model):
    with pytest.raises(UsageError, match="no head is called 'yeast'; this model has human, mouse"):
        SharedTrunkEngine(model, "yeast", STATISTICS)


def test_windows_are_not_changed(engine_for, genome, mixed):
    windows = genome.windows(mixed[:4], "shared")
    copies = [(w.ref_codes.copy(), w.alt_codes.copy()) for w in windows]
    engine_for("shared").score(windows)
    for window, (reference, alternative) in zip(windows, copies, strict=True):
        assert isinstance(window, VariantWindow)
        np.testing.assert_array_equal(window.ref_codes, reference)
        np.testing.assert_array_equal(window.alt_codes, alternative)


@pytest.mark.parametrize("method", ["towers", "predictions"])
def test_a_probe_settles_the_batch_size_before_the_first_score(failing, method):
    lines = []
    engine = SharedTrunkEngine(
        random_enformer(TINY), "human", STATISTICS, batch_size=8, notify=lines.append
    )
    failing(3, method)
    engine.probe()
    assert engine.batch_size == 2
    assert lines == ["out of memory: batch size 8 -> 4", "out of memory: batch size 4 -> 2"]
