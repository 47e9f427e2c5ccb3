"""Known truths and z-scores drawn from them."""
