"""Inference engines, drivers behind the port `edge.ports.Engine`."""
