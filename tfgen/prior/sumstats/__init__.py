"""Summary statistics: read, checked, filtered and brought to the alleles of a panel."""
