"""Annotated and synthetic pictures, augmented and batched with their targets."""
