"""Fits a prior to blocks of LD, on one device or many."""
