"""Cameras: drivers with one vendor library each, behind `edge.ports.Camera`."""

__all__ = ["PICTURE_SUFFIXES"]

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""What counts as a picture in a folder, in lower case."""
