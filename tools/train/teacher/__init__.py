"""Labels and soft targets from a larger model."""
