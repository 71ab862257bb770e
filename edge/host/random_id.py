"""Random ids for runs and MQTT clients."""

import secrets

__all__ = ["random_id"]

LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
"""Without l, o, 0 and 1, which are mistaken for one another when they are read out."""


def random_id(characters: int) -> str:
    """Return a random id of lower-case letters and digits, 5 bits per character."""
    return "".join(secrets.choice(LETTERS) for _ in range(characters))
