"""Features of variants: sources, and the store they are kept in."""
