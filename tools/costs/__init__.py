"""What the window and the process boundary of the engine cost."""
