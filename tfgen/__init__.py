"""tfgen: DNA sequence and genetic variation in, calibrated variant and gene effects out."""

__version__ = "0.1.0"
