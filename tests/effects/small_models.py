"""Small Enformers with random weights, variants for them, and the plain way to score a variant."""

import numpy as np

from tfgen.effects.statistics import compute_statistics
from tfgen.effects.windows import WindowGeometry
from tfgen.enformer.config import EnformerConfig
from tfgen.enformer.layers import BatchNorm
from tfgen.enformer.model import Enformer
from tfgen.genome import (
    ContigNames,
    Fasta,
    Status,
    Variant,
    check_variant,
    one_hot,
    variant_window,
)

STATISTICS = ("SAD", "SAR", "tCRA")

CONFIG = EnformerConfig(
    channels=96,
    num_transformer_layers=2,
    num_heads=4,
    heads=(("human", 5), ("mouse", 3)),
    sequence_length=4096,
    target_length=16,
    divisible_by=8,
    basis_length=32,
    key_size=16,
)

TINY = EnformerConfig(
    channels=24,
    num_transformer_layers=1,
    num_heads=2,
    heads=(("human", 2),),
    sequence_length=2048,
    target_length=8,
    divisible_by=4,
    basis_length=16,
    key_size=8,
)


def random_enformer(config=CONFIG, seed=0):
    """An Enformer whose variables and batch-norm averages are random.

    Weights are larger than those of a fresh model, so that one base moves a score by about 0.1.
    """
    model = Enformer(config)
    rng = np.random.default_rng(seed)
    for variable in sorted(model.trainable_variables, key=lambda v: (v.name, v.shape.as_list())):
        z = rng.standard_normal(variable.shape.as_list())
        name = variable.name.removesuffix(":0").rpartition("/")[2]
        if name == "scale":
            value = 1 + 0.2 * z
        elif name != "w":
            value = 0.2 * z
        elif "softmax_pooling" in variable.name:
            value = 2 * np.eye(len(z)) + 0.1 * z
        else:
            gain = 0.2 if "head_" in variable.name else 1.5
            value = gain * z / np.sqrt(np.prod(z.shape[:-1]))
        variable.assign(value)
    for module in model.submodules:
        if isinstance(module, BatchNorm):
            shape = module.moving_mean.average.shape
            module.moving_mean.average.assign(rng.normal(0, 0.3, shape))
            module.moving_variance.average.assign(np.exp(rng.normal(0, 0.3, shape)))
    return model


class SmallGenome:
    """A FASTA of given contigs and windows on it.

    Attributes:
        contigs: Name -> sequence.
        fasta: The opened file.
    """

    def __init__(self, path, contigs):
        path.write_text("".join(f">{name}\n{text}\n" for name, text in contigs.items()))
        self.contigs = contigs
        self.fasta = Fasta(path)
        self._names = ContigNames(self.fasta.contigs)

    def variant(self, chrom, pos, n_ref, alt):
        """A variant of `n_ref` reference bases from a 1-based position on."""
        return Variant(chrom, pos, self.contigs[chrom][pos - 1 : pos - 1 + n_ref], alt)

    def substitution(self, chrom, pos, length=1):
        """Every base of a stretch replaced by another one."""
        variant = self.variant(chrom, pos, length, "")
        alt = variant.ref.translate(str.maketrans("ACGTN", "CGTAA"))
        return Variant(chrom, pos, variant.ref, alt)

    def window(self, variant, interval):
        """The variant's sequences in any interval around it."""
        checked = check_variant(variant, self.fasta, self._names, 1000, "skip")
        assert checked.status is Status.OK, checked.detail
        return variant_window(self.fasta, checked, interval)

    def windows(self, variants, mode, config=CONFIG):
        """The variants' sequences in the windows of a mode."""
        geometry = geometry_of(config)
        return [self.window(variant, geometry.window(variant, mode)) for variant in variants]


def random_contig(length, seed):
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


def geometry_of(config):
    return WindowGeometry(config.sequence_length, config.target_length)


def plain_scores(model, windows, statistics=STATISTICS, organism="human", tracks=None):
    """Both alleles of every variant through the whole model, then the NumPy statistics."""
    predictions = []
    for start in range(0, len(windows), 32):
        some = windows[start : start + 32]
        codes = np.stack([allele for w in some for allele in (w.ref_codes, w.alt_codes)])
        predictions += list(model(one_hot(codes), False)[organism].numpy())
    rows = []
    for window, *both in zip(windows, predictions[::2], predictions[1::2], strict=True):
        offset = window.offset - geometry_of(model.config).crop
        reference, alternative = (x if tracks is None else x[:, list(tracks)] for x in both)
        rows.append(compute_statistics(statistics, reference, alternative, offset))
    return {name: np.stack([row[name] for row in rows]) for name in statistics}
