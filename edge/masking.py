"""Masks credentials in texts, and names streams without them.

Passwords of cameras hold `@`, `/`, `?`, `#` and blanks, not percent-encoded: everything between `://` and the last `@`
counts as credentials. Every search is linear in the text, which may come from a stranger.
"""

import re

__all__ = ["mask", "mask_url", "stream_name"]

_SECRET_VALUE = re.compile(r"(?i)(passw(?:or)?d|pass|pas|pwd|psw|pw|token|secret|auth|authbasic|credentials?)=[^&/\s]+")
"""Some cameras take the login in the path: `/user=admin&password=secret`."""
_QUERY = re.compile(r"\?[^\s\"']+")
_BLANK = re.compile(r"\s")
_NEXT_SCHEME = re.compile(r"(?:^|[\s\"'(<>\[,;=|])[A-Za-z][A-Za-z0-9+.-]*$")
"""What stands before the `://` of another URL of the same line; within a password there is rarely such a thing."""
_MAX_SCHEME = 24
_PATH_VALUE = re.compile(r"=[^/]*")


def mask(text: str) -> str:
    """Return `text` with the credentials and queries of all its URLs replaced by `***`.

    A line may hold several URLs; each ends where the next begins.
    """
    lines = text.split("\n") if "://" in text else []
    return _SECRET_VALUE.sub(r"\1=***", "\n".join(map(_mask_line, lines)) if lines else text)


def mask_url(value: str) -> str:
    """Return a value with its credentials and query replaced by `***`, if it is one URL; else as `mask` does.

    Nothing follows the URL, so blanks belong to it.
    """
    scheme, found, rest = value.partition("://")
    if not found or not re.fullmatch(r"[\w+.-]{1,24}", scheme):
        return mask(value)
    userinfo, at, place = rest.rpartition("@")
    if at and "?" in userinfo and "=" in userinfo:  # the @ may be in a query's value, with half of a password behind it
        return f"{scheme}://***"
    end = min((place.find(mark) for mark in "?#" if mark in place), default=len(place))
    shown = _without_port_word(place[:end]) + (f"{place[end]}***" if place[end + 1 :] else place[end:])
    return _SECRET_VALUE.sub(r"\1=***", f"{scheme}://{'***@' if at else ''}{shown}")


def stream_name(url: str) -> str:
    """Return scheme, host, port and path of a URL, without credentials, query and fragment."""
    scheme, _, rest = url.partition("://")
    userinfo, at, place = rest.rpartition("@")
    if at and "?" in userinfo and "=" in userinfo:  # as in `mask_url`
        return f"{scheme}://***"
    return f"{scheme}://{_PATH_VALUE.sub('=***', _without_port_word(re.split('[?#]', place, maxsplit=1)[0]))}"


def _mask_line(line: str) -> str:
    """Mask the URLs of one line."""
    starts = _url_starts(line)
    if not starts:
        return line
    pieces = [line[: starts[0]]]
    for start, end in zip(starts, [*starts[1:], len(line)], strict=True):
        url = line[start:end]
        at = url.rfind("@")
        # Behind the login no blank belongs to a URL: a question mark further on ends a sentence.
        place, blank, words = _cut_at_blank(url[max(at, 0) :])
        pieces += ["***" if at > 0 else "", _QUERY.sub("?***", place), blank, words]
    return "".join(pieces)


def _cut_at_blank(text: str) -> tuple[str, str, str]:
    blank = _BLANK.search(text)
    return (text, "", "") if blank is None else (text[: blank.start()], blank[0], text[blank.end() :])


def _url_starts(line: str) -> list[int]:
    """Return the offsets behind the `://` of each URL of a line."""
    starts: list[int] = []
    at = line.find("://")
    while at >= 0:
        if not starts or _NEXT_SCHEME.search(line[max(at - _MAX_SCHEME, 0) : at]):
            starts.append(at + 3)
        at = line.find("://", at + 3)
    return starts


def _without_port_word(place: str) -> str:
    """Return `host:port/path`; what stands in place of a number is a password without its host."""
    host, colon, port = place.split("/", 1)[0].rpartition(":")
    if not colon or port.isdigit() or port.endswith("]") or not port:
        return place
    return f"{host}:***"
