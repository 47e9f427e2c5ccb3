"""The study of when larger priors help."""
