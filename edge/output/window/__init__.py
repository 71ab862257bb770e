"""Output `display`: a window with skeletons, figures and keys."""
