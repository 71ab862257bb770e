"""The contract of live cameras, for the driver `pi` over a scripted picamera2."""

from collections.abc import Iterator
from typing import Any

import pytest

from edge.camera.pi.driver import PiCamera
from edge.camera.pi.stream import Wish
from live_contract import LiveCameraContract, Maker
from scripted_pi import Rig, ScriptedLibrary


class TestPiCamera(LiveCameraContract):
    @pytest.fixture
    def size(self) -> tuple[int, int]:
        return 96, 64

    @pytest.fixture
    def make(self, size: tuple[int, int]) -> Iterator[Maker]:
        made: list[PiCamera] = []

        def make(**options: Any) -> PiCamera:
            made.append(PiCamera(0, ScriptedLibrary(Rig(fps=50)), wish=Wish(size, 30), **options))
            return made[-1]

        yield make
        for camera in made:
            camera.close()
