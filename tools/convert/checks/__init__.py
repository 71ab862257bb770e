"""Checks of a converted file: parity with the graph, AP and time."""
