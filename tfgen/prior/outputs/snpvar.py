"""Prior variances as PolyFun reads them: SNPVAR, the heritability of a variant, and its limits.

SNPVAR = f / N is the variance of the effect of a standardised genotype on a standardised trait. As
prior weights of fine-mapping (Weissbrod et al. 2020, doi:10.1038/s41588-020-00735-5) they are
constrained: max / min <= 100.
"""

import numpy as np
import numpy.typing as npt

from tfgen.errors import NumericalError, UsageError
from tfgen.genome import VariantTable

Doubles = npt.NDArray[np.float64]

LARGEST_RATIO = 100.0
"""Of the largest to the smallest constrained SNPVAR."""

_HAIR = 1 + 2e-7
"""The smallest are raised by as much as two numbers of eight digits can be off together, so that
the limit holds for what is read from a text file as well."""


def snpvar(log_f: npt.NDArray[np.floating], n_eff: float) -> Doubles:
    """SNPVAR of variants [n] from log f [n] and the sample size that f belongs to.

    Raises:
        NumericalError: One is not a finite number above 0.
    """
    with np.errstate(over="ignore"):
        values = np.exp(np.asarray(log_f, np.float64) - np.log(n_eff))
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if bad.size:
        raise NumericalError(
            f"SNPVAR of {bad.size} of {values.size} variants is no finite number above 0, the "
            f"first at index {bad[0]} (log f {log_f[bad[0]]:g}); check the features"
        )
    return np.asarray(values)


def constrain(values: npt.NDArray[np.floating], largest_ratio: float = LARGEST_RATIO) -> Doubles:
    """Raises the smallest values so that max / min is at most a limit, and keeps the sum.

    All values below max / limit become that and a hair more, then all are scaled by one number:
    the ratio of any two that were large enough stays.

    Args:
        values: Values above 0 [n].
        largest_ratio: The limit, 1 or more.

    Raises:
        UsageError: The limit is below 1.
    """
    if not largest_ratio >= 1:
        raise UsageError(f"the largest ratio is {largest_ratio}; expected 1 or more")
    x = np.asarray(values, np.float64)
    if not x.size:
        return x.copy()
    raised = np.maximum(x, min(x.max(), x.max() / largest_ratio * _HAIR))
    return np.asarray(raised * (x.sum() / raised.sum()))


def repeated_keys(variants: VariantTable) -> npt.NDArray[np.int64]:
    """Rows whose variant an earlier row has already, as PolyFun tells variants apart.

    Its key is contig, position and both alleles: of single bases in any order, of indels in theirs.
    """
    import pandas as pd

    first, second = variants.alt, variants.ref
    single = np.array(
        [len(a) == 1 and len(b) == 1 for a, b in zip(first, second, strict=True)], bool
    )
    swap = single & np.asarray(first > second, bool)
    frame = pd.DataFrame(
        {
            "chrom": variants.chrom,
            "pos": variants.pos,
            "first": np.where(swap, second, first),
            "second": np.where(swap, first, second),
        }
    )
    return np.flatnonzero(frame.duplicated().to_numpy())
