"""libcamera's controls that a config may set: names, types, choices by name.

https://libcamera.org/api-html/namespacelibcamera_1_1controls.html and, for Raspberry Pi, the manual of picamera2.
A control that is missing here is passed on unchecked: the camera decides.
"""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

__all__ = ["CHOICES", "ControlSet", "ControlValue", "check_controls", "fit_controls"]

ControlValue = bool | int | float | str | list[int | float]
"""A value as in the config; a choice by its name."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "AeConstraintMode": ("Normal", "Highlight", "Shadows", "Custom"),
    "AeExposureMode": ("Normal", "Short", "Long", "Custom"),
    "AeFlickerMode": ("Off", "Manual", "Auto"),
    "AeMeteringMode": ("CentreWeighted", "Spot", "Matrix", "Custom"),
    "AfMetering": ("Auto", "Windows"),
    "AfMode": ("Manual", "Auto", "Continuous"),
    "AfRange": ("Normal", "Macro", "Full"),
    "AfSpeed": ("Normal", "Fast"),
    "AfTrigger": ("Start", "Cancel"),
    "AwbMode": ("Auto", "Incandescent", "Tungsten", "Fluorescent", "Indoor", "Daylight", "Cloudy", "Custom"),
    "HdrMode": ("Off", "MultiExposureUnmerged", "MultiExposure", "SingleExposure", "Night"),
    "NoiseReductionMode": ("Off", "Fast", "HighQuality", "Minimal", "ZSL"),
}
"""In the order of libcamera's numbers."""
SWITCHES = frozenset({"AeEnable", "AwbEnable"})
WHOLE_NUMBERS = frozenset({"AeFlickerPeriod", "ColourTemperature", "ExposureTime"})
NUMBERS = frozenset(
    {"AnalogueGain", "Brightness", "Contrast", "ExposureValue", "LensPosition", "Saturation", "Sharpness"}
)
LISTS = {"ColourCorrectionMatrix": 9, "ColourGains": 2, "FrameDurationLimits": 2, "ScalerCrop": 4}
KNOWN = frozenset({*CHOICES, *SWITCHES, *WHOLE_NUMBERS, *NUMBERS, *LISTS, "AfWindows"})


@dataclass(frozen=True, slots=True)
class ControlSet:
    """Controls in the form one camera takes.

    Attributes:
        values: those it has, choices as libcamera's numbers, lists as tuples.
        missing: a line for each control it lacks.
    """

    values: Mapping[str, object]
    missing: tuple[str, ...]


def check_controls(controls: Mapping[str, object]) -> None:
    """Check the known controls of a config, without a camera. Raises ValueError."""
    problems = [text for name, value in controls.items() if (text := _complaint(name, value))]
    if problems:
        raise ValueError("; ".join(problems))


def fit_controls(controls: Mapping[str, ControlValue], offered: Collection[str]) -> ControlSet:
    """Convert controls for a camera that offers some of them."""
    values = {name: _native(name, value) for name, value in controls.items() if name in offered}
    return ControlSet(values, tuple(_missing(name, offered) for name in controls if name not in offered))


def _complaint(name: str, value: object) -> str:
    """Return the problem with a value, or an empty string."""
    wanted = ""
    if name in CHOICES:
        return _choice_complaint(name, value)
    if name in SWITCHES and not isinstance(value, bool):
        wanted = "true or false"
    elif name in WHOLE_NUMBERS and not _is_number(value, int):
        wanted = "a whole number"
    elif name in NUMBERS and not _is_number(value, int | float):
        wanted = "a number"
    elif name in LISTS and not (isinstance(value, list) and len(value) == LISTS[name]):
        wanted = f"a list of {LISTS[name]} numbers"
    return f"{name}: expected {wanted}" if wanted else ""


def _choice_complaint(name: str, value: object) -> str:
    choices = CHOICES[name]
    if value in choices or (_is_number(value, int) and value in range(len(choices))):
        return ""
    hint = _hint(value, choices) if isinstance(value, str) else ""
    return f"{name}: '{value}' is none of {', '.join(choices)}{hint}"


def _is_number(value: object, kind: type | object) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)  # type: ignore[arg-type] # a union is a type here


def _native(name: str, value: ControlValue) -> object:
    if isinstance(value, str) and value in CHOICES.get(name, ()):
        return CHOICES[name].index(value)
    if isinstance(value, int) and not isinstance(value, bool) and name in NUMBERS:
        return float(value)
    return tuple(value) if isinstance(value, list) else value


def _missing(name: str, offered: Collection[str]) -> str:
    """Return that a camera lacks a control, with a hint if its name is unknown."""
    hint = "" if name in KNOWN else _hint(name, sorted({*offered, *KNOWN}))
    return f"no control {name}{hint}"


def _hint(word: str, known: Collection[str]) -> str:
    found = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean '{found[0]}'?)" if found else ""
