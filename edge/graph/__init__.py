"""Reads MoveNet's published graphs and writes TFLite files, with NumPy alone."""
