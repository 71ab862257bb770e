"""Camera controls by name, in the config and on their way to libcamera."""

from pathlib import Path

import pytest

from edge.camera.pi.controls import ControlValue, check_controls, fit_controls
from edge.config import load
from edge.config.text import dump
from edge.errors import ConfigError


@pytest.mark.parametrize(
    ("controls", "complaint"),
    [
        (
            {"AfMode": "Continous"},
            "AfMode: 'Continous' is none of Manual, Auto, Continuous .did you mean 'Continuous'?",
        ),
        ({"HdrMode": 7}, "HdrMode: '7' is none of Off"),
        ({"AwbMode": True}, "AwbMode: 'True' is none of Auto"),
        ({"AeEnable": 1}, "AeEnable: expected true or false"),
        ({"ExposureTime": 1e4}, "ExposureTime: expected a whole number"),
        ({"LensPosition": "near"}, "LensPosition: expected a number"),
        ({"ColourGains": [1.5]}, "ColourGains: expected a list of 2 numbers"),
    ],
)
def test_a_value_that_cannot_be_is_named_before_there_is_a_camera(controls: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        check_controls(controls)


def test_all_mistakes_are_reported_at_once() -> None:
    with pytest.raises(ValueError, match=r"AeEnable: .*; AfSpeed: "):
        check_controls({"AeEnable": "on", "Contrast": 1, "AfSpeed": "Slow"})


def test_a_control_that_is_not_known_here_is_left_to_the_camera() -> None:
    check_controls({"FutureMode": "Bright"})
    assert fit_controls({"FutureMode": "Bright"}, ["FutureMode"]).values == {"FutureMode": "Bright"}


def test_choices_become_libcameras_numbers_and_lists_tuples() -> None:
    wanted: dict[str, ControlValue] = {
        "AfMode": "Continuous", "HdrMode": 3, "ColourGains": [1.5, 2], "LensPosition": 2, "AeEnable": True,
    }  # fmt: skip
    fitting = fit_controls(wanted, list(wanted))
    assert fitting.values == {
        "AfMode": 2, "HdrMode": 3, "ColourGains": (1.5, 2), "LensPosition": 2.0, "AeEnable": True,
    }  # fmt: skip
    assert isinstance(fitting.values["LensPosition"], float)
    assert fitting.missing == ()


def test_a_known_control_that_a_camera_lacks_is_no_slip() -> None:
    assert fit_controls({"AfMode": "Auto"}, ["AfRange"]).missing == ("no control AfMode",)


def test_controls_are_a_table_of_the_config(tmp_path: Path) -> None:
    path = tmp_path / "edge-pose.toml"
    path.write_text(
        '[camera]\nsource = "pi"\nvflip = true\n[camera.controls]\nAfMode = "Continuous"\nAeEnable = false\n'
    )
    camera = load(path).camera
    assert (camera.vflip, camera.hflip) == (True, False)
    assert camera.controls == {"AfMode": "Continuous", "AeEnable": False}


def test_controls_can_be_set_on_the_command_line_and_are_shown_as_toml(tmp_path: Path) -> None:
    config = load(None, sets=['camera.controls={ExposureTime=8000, AwbMode="Indoor", ColourGains=[1.5, 2.0]}'])
    text = dump(config)
    assert 'controls = { ExposureTime = 8000, AwbMode = "Indoor", ColourGains = [1.5, 2.0] }' in text
    path = tmp_path / "again.toml"
    path.write_text(text)
    assert load(path).camera.controls == config.camera.controls


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ('"AfMode=Auto"', 'camera.controls.*: expected a table of .*, got "AfMode=Auto"'),
        ("{AfMode={a=1}}", "camera.controls.*: expected a table of .*, got a table"),
        ("{Contrast=nan}", "camera.controls.*: expected a table of"),
        ('{AfMode="Automatic"}', "camera.controls.*: AfMode: 'Automatic' is none of"),
    ],
)
def test_wrong_controls_are_config_errors(value: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load(None, sets=[f"camera.controls={value}"])
