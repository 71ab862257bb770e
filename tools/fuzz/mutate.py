"""Mutations of inputs, the same for the same seed."""

import random
import string

__all__ = ["mutated", "mutated_text"]

NUMBERS = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\xff\xff\xff\x7f", bytes(8))
TOKENS = (
    '"', "'", "[", "]", "{", "}", "=", ".", ",", ":", "://", "@", "#", "?", "%", "\\", "\n", "\r", "\t", "\0",
    "\x1b[2J", "\u202e", "\udcff", "null", "true", "-1", "1e308", "nan", "9" * 40, "~", "~nobody/", "/dev/zero", "..",
    "$(id)", "é", "你",
)  # fmt: skip


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Return a copy with one to eight bytes, numbers or pieces changed."""
    data = bytearray(content or b"\0")
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(data) or 1)
        match rng.randrange(6):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                number = rng.choice(NUMBERS)
                data[at : at + len(number)] = number
            case 2:
                del data[at : at + rng.randint(1, 64)]
            case 3:
                data[at:at] = data[at : at + rng.randint(1, 64)]
            case 4:
                data[at:at] = rng.randbytes(rng.randint(1, 16))
            case 5:
                del data[rng.randrange(len(data) or 1) :]
        data = data or bytearray(b"\0")
    return bytes(data)


def mutated_text(text: str, rng: random.Random) -> str:
    """Return a copy with one to six tokens put in, taken out or repeated many times."""
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(text) + 1)
        token = rng.choice(TOKENS) if rng.random() < 0.7 else rng.choice(string.printable)
        match rng.randrange(4):
            case 0:
                text = text[:at] + token + text[at:]
            case 1:
                text = text[:at] + text[at + rng.randint(1, 20) :]
            case 2:
                text = text[:at] + token * rng.choice((2, 50, 3000)) + text[at:]
            case 3:
                text = text[:at] + text[at : at + 200] * 2 + text[at + 200 :]
    return text
