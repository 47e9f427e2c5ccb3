"""The files of a synthetic GWAS, in the formats of the programs that usually write them."""

import gzip
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen.effects.schema import (
    FORMAT_VERSION,
    NUMBER_COLUMNS,
    StoreSchema,
)
from tfgen.effects.writer import write_store
from tfgen.errors import UsageError
from tfgen.genome import Status, VariantTable, is_palindromic
from tfgen.io import write_text
from tfgen.synthetic.gwas_chromosome import SIGNAL_BIN, Chromosome

_COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A"}
_SWAPPED, _OTHER_STRAND, _LOW_INFO, _LOW_N, _NOT_IN_PANEL = 0.5, 0.02, 0.01, 0.005, 0.01
_SMALLEST_P = 1e-300
_WINDOW = 196_608  # bases that the published model of such scores sees

Floats = npt.NDArray[np.float64]


def write_panel(prefix: Path, chromosomes: Sequence[Chromosome], n_people: int) -> None:
    """Writes `prefix`.bed, .bim and .fam with the genotypes of the first people.

    Raises:
        UsageError: The package bed-reader is missing.
    """
    try:
        from bed_reader import to_bed
    except ImportError as error:
        raise UsageError(
            "writing PLINK files needs bed-reader: pip install 'tfgen[geno]'"
        ) from error
    table = concatenated([chromosome.variants for chromosome in chromosomes])
    people = [f"P{i + 1}" for i in range(n_people)]
    to_bed(
        Path(f"{prefix}.bed"),
        np.concatenate([c.genotypes[:n_people] for c in chromosomes], axis=1),
        properties={
            "fid": people,
            "iid": people,
            "sex": [1 + i % 2 for i in range(n_people)],
            "pheno": ["-9"] * n_people,
            "chromosome": table.chrom.tolist(),
            "sid": table.id.tolist(),
            "bp_position": table.pos.tolist(),
            "allele_1": table.alt.tolist(),
            "allele_2": table.ref.tolist(),
        },
        num_threads=1,
    )


def write_statistics(
    path: Path, chromosomes: Sequence[Chromosome], z: Sequence[Floats], n: int,
    generators: Sequence[np.random.Generator],
) -> None:  # fmt: skip
    """Writes a gzip table with the columns of fastGWA.

    Half of the variants have the panel's other allele as A1, a few those of the other strand; a few
    have a low INFO or N, and a few more are not in the panel at all.

    Args:
        path: The file.
        chromosomes: The chromosomes.
        z: z-scores of each one's variants, of `alt` [n].
        n: Sample size.
        generators: Random numbers for each chromosome.
    """
    lines = ["CHR\tSNP\tPOS\tA1\tA2\tN\tAF1\tBETA\tSE\tP\tINFO"]
    for chromosome, scores, rng in zip(chromosomes, z, generators, strict=True):
        table, own = _with_others(chromosome.variants, scores, rng)
        lines += _statistics(table, own, n, rng)
    write_gzip(path, "\n".join(lines) + "\n")


def write_annotations(folder: Path, chromosomes: Sequence[Chromosome]) -> None:
    """Writes `annot.CHR.annot.gz` in the layout of LDSC for every chromosome."""
    for chromosome in chromosomes:
        table = chromosome.variants
        lines = ["CHR\tBP\tSNP\tCM\tbase\tcoding\tconserved"]
        rows = zip(
            table.pos.tolist(),
            table.id.tolist(),
            chromosome.coding.tolist(),
            chromosome.conserved.tolist(),
            strict=True,
        )
        lines += [f"{chromosome.name}\t{p}\t{i}\t0\t1\t{c}\t{x}" for p, i, c, x in rows]
        write_gzip(folder / f"annot.{chromosome.name}.annot.gz", "\n".join(lines) + "\n")


def write_intervals(peaks: Path, blocks: Path, chromosomes: Sequence[Chromosome]) -> None:
    """Writes the peaks and the LD blocks as BED."""
    spans: dict[Path, list[tuple[str, int, int]]] = {
        peaks: [(c.name, start, end) for c in chromosomes for start, end in c.peaks.tolist()],
        blocks: [(c.name, start, end) for c in chromosomes for start, end, _ in c.blocks],
    }
    for path, rows in spans.items():
        write_text(path, "".join(f"{chrom}\t{start}\t{end}\n" for chrom, start, end in rows))


def write_signal(path: Path, chromosomes: Sequence[Chromosome]) -> None:
    """Writes the signal as bigWig."""
    import pyBigWig

    file = pyBigWig.open(str(path), "w")
    file.addHeader([(chromosome.name, chromosome.length) for chromosome in chromosomes])
    for chromosome in chromosomes:
        values = np.ascontiguousarray(chromosome.signal, np.float64)
        file.addEntries(chromosome.name, 0, values=values, span=SIGNAL_BIN, step=SIGNAL_BIN)
    file.close()


def write_scores(path: Path, chromosomes: Sequence[Chromosome]) -> None:
    """Writes a score store as `variants_score.py` does, with SAD and without a genome."""
    scores = np.concatenate([chromosome.sad for chromosome in chromosomes])
    source = _ScoreRows(chromosomes, scores)
    n_tracks = scores.shape[1]
    schema = StoreSchema(
        n_rows=len(scores),
        text_widths={
            name: source.columns[name].dtype.itemsize
            for name in ("snp", "chr", "ref_allele", "alt_allele")
        },
        statistics=("SAD",),
        target_ids=tuple(f"track{i}" for i in range(n_tracks)),
        target_labels=tuple(f"synthetic track {i}" for i in range(n_tracks)),
        float16=False,
        attributes={"format_version": FORMAT_VERSION, "model": "synthetic"},
    )
    write_store(path, schema, source, lambda: None)


def write_gzip(path: Path, text: str) -> None:
    """Writes compressed text; the same text gives the same bytes."""
    path.write_bytes(gzip.compress(text.encode(), compresslevel=6, mtime=0))


def concatenated(tables: Sequence[VariantTable]) -> VariantTable:
    """The variants of several tables."""
    return VariantTable(
        **{
            name: np.concatenate([vars(table)[name] for table in tables])
            for name in vars(tables[0])
        }
    )


class _ScoreRows:
    """The rows of a score store, from memory."""

    def __init__(self, chromosomes: Sequence[Chromosome], scores: npt.NDArray[np.float32]) -> None:
        table = concatenated([chromosome.variants for chromosome in chromosomes])
        n = len(table)
        scored = ~np.isnan(scores[:, 0])
        texts = {
            "snp": table.id,
            "chr": table.chrom,
            "ref_allele": np.concatenate([c.score_ref for c in chromosomes]),
            "alt_allele": np.concatenate([c.score_alt for c in chromosomes]),
            "status": np.where(scored, Status.OK.value, Status.REF_MISMATCH.value),
        }
        zeros = {name: np.zeros(n, dtype) for name, dtype in NUMBER_COLUMNS.items()}
        starts = np.where(scored, table.pos - 1 - _WINDOW // 2, 0)
        self.columns: dict[str, npt.NDArray[Any]] = {
            **zeros,
            **{name: values.astype(np.bytes_) for name, values in texts.items()},
            "pos": table.pos.astype(np.uint32),
            "alt_index": np.ones(n, np.int32),
            "window_start": starts.astype(np.int64),
            "n_padded": np.where(scored, np.maximum(-starts, 0), 0).astype(np.int32),
            "n_fraction": np.where(scored, 0, np.nan).astype(np.float32),
            "SAD": scores,
        }

    def read(self, columns: Sequence[str], start: int, stop: int) -> dict[str, npt.NDArray[Any]]:
        """Columns of the rows start..stop."""
        return {name: self.columns[name][start:stop] for name in columns}


def _with_others(
    table: VariantTable, z: Floats, rng: np.random.Generator
) -> tuple[VariantTable, Floats]:
    """The variants and a few that the panel does not have, by position."""
    n = math.ceil(_NOT_IN_PANEL * len(table))
    free = np.setdiff1d(np.arange(int(table.pos[0]), int(table.pos[-1])), table.pos)
    pos = rng.choice(free, min(n, len(free)), replace=False)
    others = VariantTable.of(
        [table.chrom[0]] * len(pos),
        pos,
        ["A"] * len(pos),
        ["G"] * len(pos),
        [f"new{table.chrom[0]}{i}" for i in range(len(pos))],
        rng.uniform(0.05, 0.95, len(pos)),
    )
    both = concatenated([table, others])
    order = np.argsort(both.pos, kind="stable")
    return both.take(order), np.concatenate([z, rng.standard_normal(len(pos))])[order]


def _statistics(table: VariantTable, z: Floats, n: int, rng: np.random.Generator) -> list[str]:
    """The lines of one chromosome."""
    swapped = rng.random(len(z)) < _SWAPPED
    turned = (rng.random(len(z)) < _OTHER_STRAND) & ~is_palindromic(table.ref, table.alt)
    info = np.where(rng.random(len(z)) < _LOW_INFO, 0.4, rng.uniform(0.8, 1, len(z)))
    sizes = np.where(rng.random(len(z)) < _LOW_N, n // 2, n - rng.integers(0, n // 100 + 1, len(z)))
    a1, a2 = (
        np.where(swapped, first, second)
        for first, second in ((table.ref, table.alt), (table.alt, table.ref))
    )
    frequency = np.where(swapped, 1 - table.af, table.af)
    se = 1 / np.sqrt(2 * frequency * (1 - frequency) * sizes)
    signed = np.where(swapped, -z, z)
    lines = []
    for row, (first, second) in enumerate(zip(a1.tolist(), a2.tolist(), strict=True)):
        alleles = f"{first}\t{second}"
        if turned[row]:
            alleles = f"{_COMPLEMENT[first]}\t{_COMPLEMENT[second]}"
        p = max(math.erfc(abs(signed[row]) / math.sqrt(2)), _SMALLEST_P)
        lines.append(
            f"{table.chrom[row]}\t{table.id[row]}\t{table.pos[row]}\t{alleles}\t{sizes[row]}\t"
            f"{frequency[row]:.6g}\t{signed[row] * se[row]:.8g}\t{se[row]:.8g}\t{p:.6g}\t"
            f"{info[row]:.3f}"
        )
    return lines
