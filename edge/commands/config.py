"""`edge-pose config`: check, show, init."""

# ruff: noqa: PLC0415, T201 - imports keep the start short; print writes the commands' output

import argparse

from edge.errors import UsageError
from edge.host.process import Signals

__all__ = ["config_check", "config_init", "config_show"]


def config_check(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001 - every handler has this signature
    """List every mistake in a config file."""
    from edge.config import load
    from edge.config.source import parse_source

    config = load(options.file, None, options.set)
    parse_source(config.camera.source)
    print(f"{options.file or 'defaults'}: no mistakes found")
    return 0


def config_show(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001
    """Print the config that a run would use."""
    from edge.config import load
    from edge.config.text import dump

    print(dump(load(options.file, None, options.set)), end="")
    return 0


def config_init(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001
    """Write a config file with every key explained."""
    from edge.config.text import default_text

    if options.file is None:
        print(default_text(), end="")
        return 0
    try:
        with options.file.open("x", encoding="utf-8") as file:
            file.write(default_text())
    except FileExistsError:
        raise UsageError(f"{options.file}: already exists and is not overwritten") from None
    except OSError as error:
        raise UsageError(f"{options.file}: cannot be written: {error.strerror}") from error
    print(f"{options.file}: written; every key is explained in it")
    return 0
