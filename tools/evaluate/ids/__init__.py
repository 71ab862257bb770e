"""Measures how well people keep their ids, at fewer and fewer frames per second."""
