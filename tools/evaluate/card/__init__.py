"""Figures of a model card: file, accuracy, speed, targets."""
