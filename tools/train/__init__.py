"""Trains the starter model: a small MoveNet-like network for many people."""
