"""Records made by hand."""

import numpy as np

from tfgen.genome import VariantTable
from tfgen.io import RejectLog
from tfgen.prior.sumstats.munge_ledger import Ledger
from tfgen.prior.sumstats.sumstats_records import SumstatsRecords


def table(*rows):
    """Rows of chrom, pos, effect allele, other allele and optionally frequency and id."""
    filled = [(*row, *(np.nan, "")[len(row) - 4 :]) for row in rows]
    chrom, pos, alt, ref, af, ids = zip(*filled, strict=True) if filled else [()] * 6
    return VariantTable.of(chrom, pos, ref, alt, ids, af)


def records(*rows, **columns):
    """As `table`; z is 1, 2, ..., N 1000, beta z / 100, se 0.01, unless given."""
    variants = table(*rows)
    z = np.arange(1.0, len(rows) + 1)
    af = variants.af
    values = {
        "z": z,
        "n": np.full(len(rows), 1000.0),
        "maf": np.minimum(af, 1 - af),
        "beta": z / 100,
        "se": np.full(len(rows), 0.01),
        "bolt_ratio": np.full(len(rows), np.nan),
        **{name: np.array(column, float) for name, column in columns.items()},
    }
    return SumstatsRecords(variants, np.arange(2, len(rows) + 2), **values)


def ledger():
    return Ledger(RejectLog())
