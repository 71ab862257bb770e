"""What somebody meant who typed a word of another program."""

from collections.abc import Iterable

from edge.config.check import nearest

__all__ = ["command_meant", "flag_meant"]

COMMANDS = {
    "start": "run", "serve": "run", "daemon": "run", "agent": "run", "detect": "run", "show": "watch",
    "monitor": "watch", "status": "watch", "subscribe": "watch", "listen": "watch", "try": "demo", "example": "demo",
    "check": "doctor", "diagnose": "doctor", "diag": "doctor", "benchmark": "bench", "download": "models",
    "convert": "models", "fetch": "models", "init": "config", "configure": "config", "settings": "config",
}  # fmt: skip
FLAGS = {
    "verbose": "debug", "v": "debug", "source": "camera", "input": "camera", "video": "camera", "src": "camera",
    "device": "camera", "broker": "mqtt", "host": "mqtt", "server": "mqtt", "show": "display", "window": "display",
    "gui": "display", "view": "display", "output": "jsonl", "json": "jsonl", "out": "jsonl", "save": "record",
    "frames": "max-frames", "count": "max-frames", "repeat": "loop", "weights": "model", "name": "device",
    "duration": "seconds", "time": "seconds", "url": "mqtt", "conf": "config", "config-file": "config",
}  # fmt: skip
BARE_WORDS = {"run": "--camera", "watch": "--device", "bench": "--model", "demo": "--model", "doctor": "--config"}
"""The flag that a word without one was meant for."""


def command_meant(word: str, known: Iterable[str]) -> str:
    """Return the command, or action, that a word was meant for; empty if nobody knows."""
    names = list(known)
    other = COMMANDS.get(word.lower(), "")
    return other if other in names else nearest(word, names)


def flag_meant(flag: str, value: str, flags: Iterable[str]) -> str:
    """Return the words that a flag was meant for: another flag, or a key of the config; empty if nobody knows.

    Args:
        flag: as it was typed.
        value: that came with it, may be empty.
        flags: of the command.
    """
    from edge.config.load import FLAGS as FLAG_OF_KEY  # noqa: PLC0415 - rarely needed
    from edge.config.load import full_name  # noqa: PLC0415

    name = flag.lstrip("-").lower()
    known = {known.lstrip("-"): known for known in flags}
    near = known.get(FLAGS.get(name, "")) or known.get(nearest(name, known), "")
    key = full_name(name.replace("-", "_")) if "set" in known else ""
    by_key = FLAG_OF_KEY.get(key, "")
    if by_key in known.values():
        return by_key
    return f"--set {key}={value or 'VALUE'}" if key else near
