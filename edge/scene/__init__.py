"""The synthetic hall: people, their walks, how they look, and the truth about them. Pure."""
