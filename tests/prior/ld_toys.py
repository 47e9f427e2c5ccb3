"""Small panels and LD matrices as files, made without the code under test."""

import gzip

import numpy as np

from tfgen.genome import VariantTable

BED_CODE = {2: 0b00, -127: 0b01, 1: 0b10, 0: 0b11}


def haplotypes(n_samples, n_variants, seed=0, switch=0.05):
    """Genotypes [people, variants] of mosaic haplotypes: neighbours are correlated."""
    rng = np.random.default_rng(seed)
    founders = rng.integers(0, 2, (8, n_variants))
    founders[:2] = [[0], [1]]  # every variant varies
    total = np.zeros((n_samples, n_variants), np.int8)
    for _ in range(2):
        source = rng.integers(0, 8, n_samples)
        for variant in range(n_variants):
            moves = rng.random(n_samples) < switch
            source[moves] = rng.integers(0, 8, moves.sum())
            total[:, variant] += founders[source, variant].astype(np.int8)
    return total


def variants(positions, chrom="22", seed=1):
    """Variants at some positions, alleles at random."""
    rng = np.random.default_rng(seed)
    pairs = [("A", "G"), ("C", "T"), ("G", "T"), ("C", "A")]
    chosen = [pairs[i] for i in rng.integers(0, len(pairs), len(positions))]
    return VariantTable.of(
        [chrom] * len(positions),
        positions,
        [pair[0] for pair in chosen],
        [pair[1] for pair in chosen],
        [f"rs{i}" for i in range(len(positions))],
    )


def write_plink(prefix, genotypes, table):
    """Writes .bed, .bim and .fam; A1 is `alt`."""
    n_samples, n_variants = genotypes.shape
    padded = np.zeros((4 * -(-n_samples // 4), n_variants), np.uint8)
    for value, code in BED_CODE.items():
        padded[:n_samples][genotypes == value] = code
    content = bytearray(b"\x6c\x1b\x01")
    for column in padded.T:
        four = column.reshape(-1, 4)
        content += bytes((four << np.array([0, 2, 4, 6], np.uint8)).sum(axis=1).astype(np.uint8))
    prefix.with_suffix(".bed").write_bytes(bytes(content))
    prefix.with_suffix(".bim").write_text(
        "".join(
            f"{table.chrom[i]}\t{table.id[i]}\t0\t{table.pos[i]}\t{table.alt[i]}\t{table.ref[i]}\n"
            for i in range(n_variants)
        )
    )
    prefix.with_suffix(".fam").write_text(
        "".join(f"F{i} I{i} 0 0 {1 + i % 2} -9\n" for i in range(n_samples))
    )
    return prefix


def correlation(genotypes):
    """R of genotypes without missing values, in plain NumPy."""
    return np.corrcoef(genotypes.T.astype(float))


def write_window(folder, start, end, table, ld, diagonal=0.5, **arrays):
    """Writes one window as UK Biobank's: `start` and `end` 1-based as in the names."""
    stem = folder / f"chr{table.chrom[0]}_{start}_{end}"
    row, col = np.tril_indices(len(ld))
    data = np.where(row == col, diagonal, ld[row, col])
    content = {
        "row": row.astype(np.int32),
        "col": col.astype(np.int32),
        "data": data,
        "shape": np.array(ld.shape),
        "format": np.array(b"coo"),
        **arrays,
    }
    np.savez_compressed(stem, **{k: v for k, v in content.items() if v is not None})
    with gzip.open(f"{stem}.gz", "wt") as stream:
        stream.write("rsid\tchromosome\tposition\tallele1\tallele2\n")
        for i in range(len(table)):
            stream.write(
                f"{table.id[i]}\t{table.chrom[i]}\t{table.pos[i]}\t{table.alt[i]}\t{table.ref[i]}\n"
            )
    return stem.with_suffix(".npz")
