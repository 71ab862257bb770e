"""Forecast of Google's Edge TPU compiler, without the compiler.

See `python -m tools.edgetpu`.
"""
