"""The functional prior: the variance of variant effects, learned from summary statistics."""
