"""Small files of every kind that annotates variants."""

import gzip

import h5py
import numpy as np
import pyBigWig

from tfgen.genome import VariantTable
from tfgen.prior.ld.ld_block import BlockInfo, LdBlock


def table(*rows, af=None):
    """A VariantTable from "22:100:A:C:rs1" strings (the identifier may be left out)."""
    parts = [row.split(":") for row in rows]
    return VariantTable.of(
        [part[0] for part in parts],
        [int(part[1]) for part in parts],
        [part[2] for part in parts],
        [part[3] for part in parts],
        [part[4] if len(part) > 4 else "" for part in parts],
        af,
    )


def write(path, text):
    """A text file, compressed if its name ends in .gz."""
    data = text.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def bigwig(path, lengths, intervals):
    """A bigWig of (contig, start, end, value) intervals in order."""
    file = pyBigWig.open(str(path), "w")
    file.addHeader(list(lengths.items()))
    for chrom, start, end, value in intervals:
        file.addEntries([chrom], [start], ends=[end], values=[float(value)])
    file.close()
    return path


def score_store(path, rows, scores, statuses=None, statistic="SAD", **attributes):
    """A score store as docs/score-store.md describes it; rows are "chr:pos:ref:alt" strings."""
    parts = [row.split(":") for row in rows]
    scores = np.asarray(scores, np.float32)
    with h5py.File(path, "w") as file:
        file.attrs["format_version"] = "1.0"
        file.attrs.update(attributes)
        file["chr"] = np.array([part[0].encode() for part in parts], np.bytes_)
        file["pos"] = np.array([int(part[1]) for part in parts], np.uint32)
        file["ref_allele"] = np.array([part[2].encode() for part in parts], np.bytes_)
        file["alt_allele"] = np.array([part[3].encode() for part in parts], np.bytes_)
        file["snp"] = np.array([b"." for _ in parts], np.bytes_)
        if statuses is not None:
            file["status"] = np.array([code.encode() for code in statuses], np.bytes_)
        file["target_ids"] = np.array([f"T{i}".encode() for i in range(scores.shape[1])], np.bytes_)
        file["target_labels"] = file["target_ids"][:]
        file[statistic] = scores
    return path


def correlations(n, seed=0):
    """A well-conditioned correlation matrix."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(400, n)) + rng.normal(size=(400, 1))
    return np.corrcoef(x, rowvar=False)


def ld_block(name, chrom, pos, r, centre):
    """A block of a window: `r` its correlations, `centre` a mask of the observed variants."""
    eigenvalues, vectors = np.linalg.eigh(r[np.ix_(centre, centre)])
    eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]
    p = vectors.T / np.sqrt(eigenvalues)[:, None]
    n, w = len(pos), int(centre.sum())
    info = BlockInfo(name, chrom, 0, 9999, 0, 9999, n, w, w, 0.0)
    variants = VariantTable.of(
        [chrom] * n, pos, ["A"] * n, ["C"] * n, [f"rs{x}" for x in pos], np.arange(1, n + 1) / 20
    )
    q = (p @ r[centre]).astype(np.float32)
    return LdBlock(info, variants, centre, q, p.astype(np.float32), eigenvalues)
