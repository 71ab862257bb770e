"""What a model card tells in figures: the file, how well it finds people, how fast it is, and what it was to reach."""
