"""LD: blocks, whitening, the store, and whether z-scores belong to it."""
