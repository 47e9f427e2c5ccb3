"""The public data of the prior: what there is, and how it gets here."""
