"""`edge-pose config`: check, show, init."""

# ruff: noqa: PLC0415, T201 - imports keep the start short; print writes the commands' output

import argparse
import os
from pathlib import Path

from edge.errors import UsageError
from edge.host.process import Signals

__all__ = ["config_check", "config_init", "config_show"]

STDOUT = Path("-")


def config_check(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001 - every handler has this signature
    """List every mistake in a config file."""
    from edge.config import load
    from edge.config.source import parse_source

    file = options.file or _service_config()
    config = load(file, None, options.set)
    parse_source(config.camera.source)
    print(f"{file or 'defaults'}: no mistakes found")
    output = config.output
    if not (config.mqtt.url or output.jsonl or output.record or output.display):
        print("nothing is published: mqtt.url is empty, and there is no other output")
    return 0


def _service_config() -> Path | None:
    """Return the service's config file, which `doctor` examines too; None if there is none that may be read."""
    from edge.config.schema import SYSTEM_CONFIG

    return Path(SYSTEM_CONFIG) if os.access(SYSTEM_CONFIG, os.R_OK) else None


def config_show(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001
    """Print the config that a run would use."""
    from edge.config import load
    from edge.config.text import dump

    print(dump(load(options.file, None, options.set)), end="")
    return 0


def config_init(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001
    """Write a config file with every key explained."""
    from edge.config import load
    from edge.config.text import default_text

    given = {"camera.source": options.camera, "mqtt.url": options.mqtt}
    load(None, given)  # what would be refused later is refused here
    text = default_text({key: value for key, value in given.items() if value is not None})
    if options.file in (None, STDOUT):
        print(text, end="")
        return 0
    try:
        with options.file.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(
            f"{options.file}: already exists and is not overwritten; `edge-pose config init` prints a new one"
        ) from None
    except OSError as error:
        raise UsageError(f"{options.file}: cannot be written: {error.strerror}") from error
    print(f"{options.file}: written; every key is explained in it")
    missing = [key for key, value in given.items() if value is None]
    first = f"set {' and '.join(missing)} in it, then " if missing else ""
    print(f"next: {first}edge-pose run --config {options.file}")
    return 0
