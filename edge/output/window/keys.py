"""The window's keys: what each one asks for, and the help that teaches them."""

from typing import Literal

__all__ = ["HELP", "Action", "action_of"]

Action = Literal["quit", "snapshot", "private", "full screen", "help"]

_ACTIONS: dict[str, Action] = {
    "q": "quit",
    "escape": "quit",
    "s": "snapshot",
    "p": "private",
    "f": "full screen",
    "h": "help",
}

HELP = (
    ("q, Esc", "quit: the run ends"),
    ("s", "save a snapshot"),
    ("p", "private: skeletons on black"),
    ("f", "full screen"),
    ("h", "this help"),
)
"""(keys, what they do), in the order of the help."""


def action_of(key: str) -> Action | None:
    """Return what a key asks for; `key` is its name in lower case, as on the keyboard's own layout."""
    return _ACTIONS.get(key)
