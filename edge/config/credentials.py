"""Secrets from files and systemd's credentials, and who else can read them."""

import grp
import logging
import os
import shlex
import stat
from collections.abc import Mapping
from pathlib import Path

from edge.config.schema import SYSTEM_CONFIG
from edge.errors import ConfigError
from edge.host.files import read_small

__all__ = [
    "credentials_beside",
    "exposure",
    "find_password_file",
    "mqtt_password",
    "read_password",
    "remedy",
    "warn_if_exposed",
]

log = logging.getLogger(__name__)

PASSWORD_CREDENTIAL = "mqtt-password"  # noqa: S105 - the name of a file
"""`LoadCredential=mqtt-password:/etc/edge-pose/mqtt-password` in the unit."""


def mqtt_password(username: str, password_file: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the broker's password, or None; warn if other users can read it.

    Args:
        username: without one there is no password either.
        password_file: the config's; empty for systemd's credential `mqtt-password`, if the unit has one.
        environ: has systemd's CREDENTIALS_DIRECTORY.

    Raises:
        ConfigError: the file cannot be read, or does not hold exactly one line.
    """
    file = find_password_file(username, password_file, environ)
    if file is None:
        return None
    password = read_password(file)
    warn_if_exposed(file, environ)
    return password


def credentials_beside(config: Path | None, environ: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """Return an environment in which the password of a service with this config is found.

    systemd hands it to the service only; a person who uses the service's config, such as `watch` by root, reads the
    file that it is from.
    """
    if config is None or "CREDENTIALS_DIRECTORY" in environ or config.absolute().parent != Path(SYSTEM_CONFIG).parent:
        return environ
    return {**environ, "CREDENTIALS_DIRECTORY": str(Path(SYSTEM_CONFIG).parent)}


def find_password_file(username: str, password_file: str, environ: Mapping[str, str]) -> Path | None:
    """Return the file that holds the broker's password."""
    if not username:
        return None
    if password_file:
        return Path(password_file)
    folder = environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(folder, PASSWORD_CREDENTIAL) if folder else None
    return credential if credential is not None and credential.exists() else None


def warn_if_exposed(file: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Log a warning with the fix if other users can read a secret.

    systemd's credentials are left out: systemd protects them.
    """
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if folder and file.is_relative_to(folder):
        return
    try:
        status = file.stat()
    except OSError:
        return  # reading it raises the error
    who = exposure(status.st_mode, owner_uid=status.st_uid, reader_uid=os.geteuid())
    if who is not None:
        command = remedy(file, owner_uid=status.st_uid, reader_uid=os.geteuid(), group=_group_name())
        log.warning("%s can be read by %s: %s", file, who, command)


def exposure(mode: int, *, owner_uid: int, reader_uid: int) -> str | None:
    """Return who else can read a secret file; None if only its reader can.

    A file of root's that a service reads through its group is as it should be: the service cannot change it.

    Args:
        mode: of the file.
        owner_uid: whose it is.
        reader_uid: the user of this process.
    """
    if mode & stat.S_IROTH:
        return "every user of this machine"
    if mode & stat.S_IRGRP and not (owner_uid == 0 and reader_uid != 0):
        return "its whole group"
    return None


def remedy(file: Path, *, owner_uid: int, reader_uid: int, group: str) -> str:
    """Return the command that restricts a secret to its reader.

    The reader is in `group`; a file of root's stays root's.
    """
    path = shlex.quote(str(file))
    return f"chmod 600 {path}" if owner_uid == reader_uid else f"chgrp {group} {path} && chmod 640 {path}"


def _group_name() -> str:
    try:
        return grp.getgrgid(os.getegid()).gr_name
    except KeyError:
        return str(os.getegid())


def read_password(path: Path) -> str:
    """Return the password in a file, without the line end.

    Raises:
        ConfigError: it cannot be read, or is not one line of text; the message never shows the content.
    """
    try:
        lines = read_small(path).decode("utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"mqtt.password_file: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"mqtt.password_file: {path} is not UTF-8 text") from None
    if len(lines) != 1 or not lines[0]:
        raise ConfigError(f"mqtt.password_file: {path} must hold the password as its only line")
    return lines[0]
