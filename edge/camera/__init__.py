"""Cameras: drivers with one vendor library each, behind `edge.ports.Camera`."""
