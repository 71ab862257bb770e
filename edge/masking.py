"""Masks credentials in texts."""

import re

__all__ = ["mask"]

# Everything up to the last @ before the path is credentials. Some cameras take theirs as
# `…/user=admin&password=secret`, so values with such names are masked as well.
_USERINFO = re.compile(r"://(?:[^/?#\s]*@|[^/?#\s:]*:(?!\d*[/?#])\S*@)")
_SECRET_VALUE = re.compile(r"(?i)(passw(?:or)?d|pass|pwd|pw|token|secret)=[^&/\s]+")


def mask(text: str) -> str:
    """Return `text` with the credentials of all URLs replaced by `***`."""
    return _SECRET_VALUE.sub(r"\1=***", _USERINFO.sub("://***@", text))
