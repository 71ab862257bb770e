"""Hides secrets in texts: the credentials of every URL."""

import re

__all__ = ["mask"]

# Everything up to the last @ before the path is credentials. Some cameras want theirs as
# `…/user=admin&password=secret`, so a value with such a name is hidden as well.
_USERINFO = re.compile(r"://(?:[^/?#\s]*@|[^/?#\s:]*:(?!\d*[/?#])\S*@)")


_SECRET_VALUE = re.compile(r"(?i)(passw(?:or)?d|pass|pwd|pw|token|secret)=[^&/\s]+")


def mask(text: str) -> str:
    """Return `text` with the credentials of every URL in it replaced by `***`."""
    return _SECRET_VALUE.sub(r"\1=***", _USERINFO.sub("://***@", text))
