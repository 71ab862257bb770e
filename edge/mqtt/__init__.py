"""Drivers: one vendor library each, behind the ports of `edge.ports`."""
