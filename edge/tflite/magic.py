"""Opens TFLite files, which are recognised by their magic bytes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edge.errors import InputError

__all__ = ["MAGIC", "is_tflite", "open_tflite"]

MAGIC = b"TFL3"
"""Bytes 4..8 of every TFLite file (file_identifier of tensorflow/lite/schema/schema.fbs)."""
HEAD_BYTES = 8


def is_tflite(head: bytes) -> bool:
    """Return whether a file that starts with `head` is a TFLite file."""
    return head[4:HEAD_BYTES] == MAGIC


@contextlib.contextmanager
def open_tflite(path: Path) -> Iterator[BinaryIO]:
    """Open a TFLite file after checking its magic bytes.

    Raises:
        InputError: no such file, not a TFLite file, or it cannot be read, here or in the body of the `with`.
    """
    try:
        with path.open("rb") as file:
            _check_magic(path, file.read(HEAD_BYTES))
            file.seek(0)
            yield file
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such model file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _check_magic(path: Path, head: bytes) -> None:
    if not is_tflite(head):
        raise InputError(f"{path}: not a TFLite model (no {MAGIC.decode()} mark at its start)")
