"""Large linear algebra that more than one room needs."""
