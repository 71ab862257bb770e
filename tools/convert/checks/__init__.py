"""Checks of a converted file: parity, AP and time."""
