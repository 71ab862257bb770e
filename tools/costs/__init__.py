"""Costs of the window, of the engine's process, and of the threads between a picture and its line."""
