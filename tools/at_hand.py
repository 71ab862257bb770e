"""What the tools measure with unless told otherwise."""

import argparse
import os
import sys
from pathlib import Path

from edge.config import input_size
from edge.errors import EdgeError
from edge.models.files import places, resolve
from edge.models.manifest import load_manifest

__all__ = ["default_model", "parse_size", "show_progress"]


def default_model() -> Path | None:
    """Return the file of the manifest's default model, None where it cannot be had."""
    try:
        where = places(os.environ)
        return resolve(None, load_manifest(where.mirror), where).path
    except EdgeError:
        return None


def parse_size(text: str) -> tuple[int, int]:
    """Parse `HxW`, as the product does, into (width, height). Raises argparse.ArgumentTypeError."""
    try:
        return input_size.parse_fixed_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def show_progress(done: int, total: int, label: str = "") -> None:
    """Draw a bar on a terminal; into a pipe nothing."""
    if sys.stderr.isatty():
        bar = "#" * (30 * done // total)
        print(f"\r{label} [{bar:30}] {done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)
