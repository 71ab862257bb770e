"""Costs of the window and of the engine's process."""
