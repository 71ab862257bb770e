"""Debian packages that a test needs; it installs them itself."""

import os
import subprocess

__all__ = ["require"]


def require(*packages: str) -> None:
    """Install what is missing (needs root and the package index)."""
    if missing := [name for name in packages if not _is_installed(name)]:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-q"], check=True, env=quiet)
        subprocess.run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *missing], check=True, env=quiet)


def _is_installed(package: str) -> bool:
    command = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout == "installed"
