"""Output `display`: a window with skeletons, metrics and keys."""
