"""The C library under pysam, kept from writing to the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

import pysam


@contextmanager
def quiet_htslib() -> Iterator[None]:
    """Silences htslib's own messages on stderr; its failures still raise.

    The level is one number for the whole process, so a block should hold one call and no yield.
    """
    level = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(level)
