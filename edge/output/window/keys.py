"""The window's keys, their actions and their help."""

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
    """Return a key's action, None without one.

    Args:
        key: its name in lower case, in the keyboard's layout.
    """
    return _ACTIONS.get(key)
