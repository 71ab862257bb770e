"""The config of a run: TOML, flags and `--set`, checked whole."""

from edge.config.load import load
from edge.config.schema import Config

__all__ = ["Config", "load"]
