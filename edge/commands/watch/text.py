"""Cleans untrusted text for a terminal and measures its width."""

import unicodedata

__all__ = ["clean", "columns_of", "cut", "duration", "pad"]

REPLACEMENT = "\ufffd"
MARKS = frozenset({"Mn", "Me"})
"""Unicode categories of combining marks."""


def clean(text: str, *, max_characters: int = 120) -> str:
    """Return text without anything a terminal would act on.

    Control characters, escape sequences' first bytes, marks that turn the direction of writing, line ends and
    lone surrogates become U+FFFD; of several marks on one letter the first is kept.

    Args:
        text: untrusted, from a message or a topic.
        max_characters: the rest is cut off.
    """
    text = unicodedata.normalize("NFC", text[:max_characters])
    kept = (c for at, c in enumerate(text) if not (_is_mark(c) and (at == 0 or _is_mark(text[at - 1]))))
    return "".join(c if c.isprintable() else REPLACEMENT for c in kept)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character) in MARKS


def columns_of(text: str) -> int:
    """Return the terminal columns of clean text (Unicode annex 11)."""
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if _is_mark(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, columns: int) -> str:
    """Cut text to at most `columns`, an ellipsis at its end."""
    if columns_of(text) <= columns:
        return text
    kept, used = "", 0
    for character in text:
        used += _columns(character)
        if used > columns - 1:
            break
        kept += character
    return f"{kept}…" if columns > 0 else ""


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Cut or fill text to exactly `columns`; `right` aligns it right."""
    text = cut(text, columns)
    space = " " * (columns - columns_of(text))
    return space + text if right else text + space


def duration(seconds: float) -> str:
    """Format a duration in at most two units."""
    seconds = max(seconds, 0.0)
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, days = minutes // 60, minutes // 1440
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{days} d {hours % 24} h"
