"""Camera drivers, one vendor library each, behind `edge.ports.Camera`."""
