"""Certificates made by Debian's openssl: an authority, and what it signs, for any time."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")

PAST, RECENT = "20200101000000Z", "20210101000000Z"
SOON, LATER = "20980101000000Z", "20990101000000Z"

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

CONFIG = """\
[ca]
default_ca = here
[here]
database = {folder}/index.txt
new_certs_dir = {folder}
default_md = sha256
policy = any
rand_serial = yes
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
"""


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key."""

    cert: Path
    key: Path

    def settings(self) -> dict[str, Any]:
        return {"cert_file": str(self.cert), "key_file": str(self.key)}


class Authority:
    """Signs certificates; its own is `cert`."""

    def __init__(self, folder: Path, name: str = "our CA") -> None:
        self.folder = folder / name.replace(" ", "-")
        self.folder.mkdir()
        self.cert = self.folder / "ca.crt"
        (self.folder / "index.txt").touch()
        (self.folder / "ca.cnf").write_text(CONFIG.format(folder=self.folder))
        make = ("req", "-x509", *NEW_KEY, "-days", "2", "-subj", f"/CN={name}")
        openssl(self.folder, *make, "-keyout", "ca.key", "-out", "ca.crt")

    def sign(self, name: str, begin: str = PAST, end: str = LATER, *, file: str = "") -> Identity:
        """Make a key and a certificate for a host or a device, valid from `begin` to `end` (YYYYMMDDHHMMSSZ)."""
        stem = file or name
        cert, key, request = (f"{stem}.{ending}" for ending in ("crt", "key", "csr"))
        named = ("-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}")
        openssl(self.folder, "req", "-new", *NEW_KEY, *named, "-keyout", key, "-out", request)
        signer = ("-config", "ca.cnf", "-cert", "ca.crt", "-keyfile", "ca.key")
        times = ("-startdate", begin, "-enddate", end)
        openssl(self.folder, "ca", "-batch", "-notext", *signer, *times, "-in", request, "-out", cert)
        return Identity(self.folder / cert, self.folder / key)
