"""A stand-in for `npm` on PATH, which serves an archive or fails as the real one does."""

import io
import os
import stat
import sys
import tarfile
from pathlib import Path

__all__ = ["archive_of", "put_npm"]

SCRIPT = """#!{python}
import os, shutil, signal, sys, time
if sys.argv[1:] == ["--version"]:
    print({version!r})
    sys.exit(0)
assert sys.argv[1] == "pack" and "--ignore-scripts" in sys.argv, sys.argv
folder = sys.argv[sys.argv.index("--pack-destination") + 1]
assert os.path.realpath(sys.argv[sys.argv.index("--cache") + 1]).startswith(os.path.realpath(folder))
open({log!r}, "a").write(sys.argv[2] + chr(10))
{body}
"""


def put_npm(folder: Path, body: str, *, version: str = "11.0.0") -> dict[str, str]:
    """Write a program `npm` that runs `body`; return the environment that finds it, and nothing else.

    `folder` is what it was given as --pack-destination. Each call adds the package to the file `npm.log`.
    """
    path = folder / "npm"
    text = SCRIPT.format(python=sys.executable, version=version, log=str(folder / "npm.log"), body=body)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}{os.pathsep}/nonexistent"}


def archive_of(path: Path, members: dict[str, bytes]) -> Path:
    """Write a .tgz with these files."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path
