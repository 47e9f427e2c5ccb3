"""What a trained prior is worth, and what it says of variants."""
