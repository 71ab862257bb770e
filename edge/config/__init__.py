"""The config of a run: read from TOML, flags and `--set`, and checked whole."""

from edge.config.load import load
from edge.config.schema import Config

__all__ = ["Config", "load"]
