"""Networks from features to the prior variance, and how they are kept."""
