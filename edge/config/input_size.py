"""Parses a model's input size, `HxW`, height first. Pure."""

import re

__all__ = ["SIZE_STEP_PX", "parse_fixed_size", "parse_size"]

SIZE_STEP_PX = 32
SIZE_MAX_PX = 2048


def parse_size(text: str) -> tuple[int, int] | None:
    """Parse `HxW`, height first as in a model's shape; None for `auto`.

    Returns:
        (width, height) in pixels.

    Raises:
        ValueError: not of that form, not multiples of 32, or out of range.
    """
    return None if text == "auto" else parse_fixed_size(text, choices='"auto" or "HxW"')


def parse_fixed_size(text: str, *, choices: str = '"HxW"') -> tuple[int, int]:
    """Parse `HxW`, height first as in a model's shape.

    Args:
        text: from a user.
        choices: the valid forms, for the error message.

    Returns:
        (width, height) in pixels.

    Raises:
        ValueError: not of that form, not multiples of 32, or out of range.
    """
    match = re.fullmatch("([0-9]{1,5})[xX]([0-9]{1,5})", text)
    if match is None:
        raise ValueError(f"expected {choices} such as \"256x448\", height first, got '{text}'")
    height, width = int(match[1]), int(match[2])
    if height % SIZE_STEP_PX or width % SIZE_STEP_PX:
        raise ValueError(
            f"'{text}' is not a multiple of {SIZE_STEP_PX} (nearest: {_nearest(height)}x{_nearest(width)})"
        )
    if not SIZE_STEP_PX <= min(height, width) <= max(height, width) <= SIZE_MAX_PX:
        raise ValueError(f"'{text}' is out of range: both sides must be from {SIZE_STEP_PX} to {SIZE_MAX_PX}")
    return width, height


def _nearest(side_px: int) -> int:
    return min(max(round(side_px / SIZE_STEP_PX) * SIZE_STEP_PX, SIZE_STEP_PX), SIZE_MAX_PX)
