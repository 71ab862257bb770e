"""Models by name: the manifest, where their files lie, and how they get there."""
