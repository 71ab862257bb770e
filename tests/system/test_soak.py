"""Two and a half minutes of the soak: ten times each without broker, camera and engine (`make soak`: half an hour)."""

import json
from collections import Counter
from pathlib import Path

import cv2

from command import use_tool
from data import needs_models
from packages import require

TIMEOUT_S = 900


@needs_models
def test_an_agent_that_loses_everything_ten_times_comes_back_each_time_and_does_not_grow(tmp_path: Path) -> None:
    require("mosquitto", "gcc", "libc6-dev")
    files = {name: tmp_path / f"soak.{name}" for name in ("json", "csv", "picture")}
    files["picture"] = files["picture"].with_suffix(".png")
    flags = [word for name, file in files.items() for word in (f"--{name}", str(file))]
    done = use_tool("soak", "--minutes", "2.5", "--busy", *flags, timeout_s=TIMEOUT_S)
    assert done.code == 0, done.out + done.err
    figures = json.loads(files["json"].read_text())
    assert figures["findings"] == []
    assert Counter(fault["kind"] for fault in figures["faults"]) == {"broker": 10, "camera": 10, "engine": 10}
    assert figures["people"] > 0
    assert len(files["csv"].read_text().splitlines()) > 100
    assert cv2.imread(str(files["picture"])) is not None
