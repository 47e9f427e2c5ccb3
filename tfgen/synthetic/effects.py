"""The variant file of a world and the table of true effects."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pysam
from numpy.typing import NDArray

from tfgen.errors import InputFormatError
from tfgen.genome import (
    ContigNames,
    Fasta,
    Variant,
    VariantWindow,
    centred_window,
    check_variant,
    variant_window,
)
from tfgen.io import read_table, write_table, write_text
from tfgen.synthetic.config import Chromosome, WorldConfig
from tfgen.synthetic.grammar import TRACKS
from tfgen.synthetic.truth import expected_coverage
from tfgen.synthetic.variants import VARIANT_CLASSES, WorldVariant

_COLUMNS = ("chrom", "pos", "id", "ref", "alt", "class", "split", "af")


@dataclasses.dataclass(frozen=True)
class TrueEffects:
    """What each variant of a world really does, in the order of its VCF.

    Attributes:
        variants: The variants `[n]`.
        variant_class: `activator`, `distal`, `pair`, `repressor` or `elsewhere` `[n]`.
        split: `train`, `valid` or `test` of the chromosome `[n]`.
        frequency: Alternative allele frequency, float64 `[n]`.
        sad: True SAD, float64 `[n, n_tracks]`: expected coverage of the alternative minus the
            reference sequence, summed over the output bins of the window.
    """

    variants: tuple[Variant, ...]
    variant_class: NDArray[np.str_]
    split: NDArray[np.str_]
    frequency: NDArray[np.float64]
    sad: NDArray[np.float64]


def true_sad(window: VariantWindow, output_bins: slice) -> NDArray[np.float64]:
    """True SAD `[n_tracks]` of one variant, by two evaluations of the whole window.

    The truth sees the two window sequences and nothing outside them, as a model does. With the
    default window (4,096 bases, 16 output bins) nothing outside could reach the output bins.

    Args:
        window: Both sequences; the length is a multiple of 128.
        output_bins: The bins to sum, see `WorldConfig.output_bins`.
    """
    alternative, reference = (
        expected_coverage(codes)[output_bins].astype(np.float64)
        for codes in (window.alt_codes, window.ref_codes)
    )
    change: NDArray[np.float64] = (alternative - reference).sum(axis=0)
    return change


def true_effects(fasta: Fasta, drawn: Sequence[WorldVariant], config: WorldConfig) -> TrueEffects:
    """Evaluates every variant in the window in which it is scored.

    The first base of the variant is at index `sequence_length // 2`; behind an indel the
    alternative sequence is cut or extended from the genome.

    Args:
        fasta: The genome of the world.
        drawn: The variants.
        config: Gives the window and the output bins.
    """
    names = ContigNames(fasta.contigs)
    sad = np.empty((len(drawn), len(TRACKS)))
    for row, item in enumerate(drawn):
        checked = check_variant(item.variant, fasta, names)
        window = centred_window(checked.variant, config.sequence_length)
        sad[row] = true_sad(variant_window(fasta, checked, window), config.output_bins)
    split = {chromosome.name: chromosome.split for chromosome in config.layout}
    return TrueEffects(
        variants=tuple(item.variant for item in drawn),
        variant_class=np.array([item.variant_class for item in drawn], np.str_),
        split=np.array([split[item.variant.chrom] for item in drawn], np.str_),
        frequency=np.array([item.frequency for item in drawn]),
        sad=sad,
    )


def write_vcf(path: Path, chromosomes: Sequence[Chromosome], drawn: Sequence[WorldVariant]) -> None:
    """Writes `path` (`.vcf.gz`, bgzip) and its tabix index.

    Args:
        path: Output file, in an existing folder.
        chromosomes: All chromosomes, for the header.
        drawn: The variants, sorted by chromosome and position.
    """
    lines = ["##fileformat=VCFv4.3", "##source=tfgen synthetic world"]
    lines += [f"##contig=<ID={c.name},length={c.length}>" for c in chromosomes]
    lines += [
        '##INFO=<ID=AF,Number=A,Type=Float,Description="Alternative allele frequency">',
        '##INFO=<ID=CLASS,Number=1,Type=String,Description="What the variant changes: '
        f'{", ".join(VARIANT_CLASSES)}">',
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    ]
    for item in drawn:
        v = item.variant
        info = f"AF={item.frequency:.5f};CLASS={item.variant_class}"
        lines.append(f"{v.chrom}\t{v.pos}\t{v.id}\t{v.ref}\t{v.alt}\t.\tPASS\t{info}")
    plain = path.with_suffix("")
    write_text(plain, "\n".join(lines) + "\n")
    pysam.tabix_index(str(plain), preset="vcf", force=True)


def write_true_effects(path: Path, effects: TrueEffects) -> None:
    """Writes the table of true effects, one row per variant, one column per track."""
    columns: dict[str, Sequence[object]] = {
        "chrom": [v.chrom for v in effects.variants],
        "pos": [v.pos for v in effects.variants],
        "id": [v.id for v in effects.variants],
        "ref": [v.ref for v in effects.variants],
        "alt": [v.alt for v in effects.variants],
        "class": effects.variant_class.tolist(),
        "split": effects.split.tolist(),
        "af": effects.frequency.tolist(),
    }
    for index, track in enumerate(TRACKS):
        columns[track.identifier] = effects.sad[:, index].tolist()
    write_table(path, columns)


def read_true_effects(path: Path) -> TrueEffects:
    """Reads a table made by `write_true_effects`; numbers come back exactly.

    Raises:
        InputFormatError: A column is missing or a value is no number.
    """
    table = read_table(path, required=(*_COLUMNS, *(track.identifier for track in TRACKS)))
    alleles = zip(*(table[name] for name in ("chrom", "pos", "ref", "alt", "id")), strict=True)
    try:
        return TrueEffects(
            variants=tuple(Variant(c, int(pos), r, a, i) for c, pos, r, a, i in alleles),
            variant_class=np.array(table["class"], np.str_),
            split=np.array(table["split"], np.str_),
            frequency=np.array(table["af"], np.float64),
            sad=np.stack([np.array(table[t.identifier], np.float64) for t in TRACKS], axis=1),
        )
    except ValueError as error:
        raise InputFormatError(
            f"{path}: {error}; expected a table of true effects as a world is made with"
        ) from None
