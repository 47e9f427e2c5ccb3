"""Blocks of LD matrices in memory, z-scores drawn from them, and the LD of real genotypes."""

import numpy as np

from prior.ld_toys import variants
from tfgen.prior.constant_fit import Spectrum
from tfgen.prior.ld.ld_block import BlockInfo, LdBlock
from tfgen.prior.ld.ld_decomposition import DecompositionOptions, decompose


def make_block(ld, flank=0, var_kept=0.995):
    """A block of an LD matrix; `flank` variants at each end are not observed."""
    n = len(ld)
    in_centre = np.zeros(n, bool)
    in_centre[flank : n - flank] = True
    options = DecompositionOptions(var_kept=var_kept)
    found = decompose(ld[in_centre].copy(), in_centre, options, "b")
    w, k = int(in_centre.sum()), len(found.eigenvalues)
    info = BlockInfo("b", "22", 0, n, 0, n, n, w, k, found.discarded_variance)
    q, p = found.q.astype(np.float32), found.p.astype(np.float32)
    return LdBlock(info, variants(range(1, n + 1)), in_centre, q, p, found.eigenvalues)


def draw(rng, ld, mean_f, size=1):
    """z ~ N(0, f R^2 + R) [size, n]."""
    values, vectors = np.linalg.eigh(ld)
    values = np.clip(values, 0, None)
    noise = rng.normal(size=(size, len(ld)))
    return (noise * np.sqrt(mean_f * values**2 + values)) @ vectors.T


def panel_of(genotypes, people):
    """LD of some of the people, and which variants vary among them."""
    few = genotypes[people]
    varies = few.std(axis=0) > 0
    return np.corrcoef(few[:, varies].T), varies


class Whitened:
    """Spectra of many z-scores in one block, at the cost of one decomposition."""

    def __init__(self, block):
        q = block.q.astype(float)
        values, vectors = np.linalg.eigh(q @ q.T)
        self.values, self.root = np.maximum(values, 0), vectors.T @ block.p.astype(float)

    def spectra(self, zs):
        return [Spectrum(self.values, (self.root @ z) ** 2) for z in zs]


def gtex_genotypes(shared_data):
    """Genotypes of 574 people, every third of 1,001 variants, standardised (susieR)."""
    with np.load(shared_data("gwas_ld/susier/N3finemapping.npz")) as data:
        x = data["X"][:, ::3]
    return (x - x.mean(axis=0)) / x.std(axis=0)
