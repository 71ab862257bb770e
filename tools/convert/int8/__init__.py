"""The int8 recipe: calibration, ranges, equalization, rounding, and the file."""
