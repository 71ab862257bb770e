"""Machines made of files: /proc, /sys, /dev and /etc as tests want them."""

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["plant"]


def plant(root: Path, files: Mapping[str, str | None]) -> Path:
    """Write files into a tree and return it; `-> target` makes a link, None an empty folder."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.mkdir(exist_ok=True)
        elif text.startswith("-> "):
            path.symlink_to(text.removeprefix("-> "))
        else:
            path.write_bytes(os.fsencode(text))
    return root
