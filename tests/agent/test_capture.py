import logging
import threading

import numpy as np
import pytest

from brokers import eventually
from builders import ScriptedCamera, frame
from edge.agent.capture import FIRST_RETRY_S, LAST_RETRY_S, CameraThread, Captured
from edge.errors import CameraLostError, InputError
from edge.frame import Frame
from edge.mailbox import Mailbox
from edge.poses.letterbox import fit
from edge.poses.model_input import ModelInput


class Watcher:
    def __init__(self) -> None:
        self.events: list[str] = []
        self.lost = threading.Event()

    def camera_up(self) -> None:
        self.events.append("up")

    def camera_lost(self, reason: str) -> None:
        self.events.append(reason)
        self.lost.set()


def start(
    camera: ScriptedCamera, *, retry_s: tuple[float, float] = (0.5, 30.0)
) -> tuple[CameraThread, Mailbox[Captured], Watcher]:
    frames: Mailbox[Captured] = Mailbox(waits=True)
    watcher = Watcher()
    thread = CameraThread(camera, frames, lambda _: None, watcher, retry_s=retry_s)
    thread.start()
    return thread, frames, watcher


def test_frames_are_handed_on_until_the_camera_ends() -> None:
    camera = ScriptedCamera([frame(0), frame(1), frame(2), None])
    thread, frames, watcher = start(camera)
    assert [item.frame.index for item in frames] == [0, 1, 2]
    assert thread.join(2)
    assert watcher.events == ["up"]
    assert camera.closed == 1
    assert thread.error is None


def test_a_live_camera_that_breaks_off_is_opened_again() -> None:
    camera = ScriptedCamera([frame(0), CameraLostError("unplugged"), frame(1), None])
    thread, frames, watcher = start(camera)
    assert [item.frame.index for item in frames] == [0, 1]
    assert thread.join(2)
    assert watcher.events == ["up", "unplugged", "up"]


def test_a_live_camera_that_is_absent_at_the_start_is_tried_until_it_comes() -> None:
    camera = ScriptedCamera([frame(0), None], failing_opens=[CameraLostError("absent")])
    thread, frames, watcher = start(camera)
    assert [item.frame.index for item in frames] == [0]
    assert thread.join(2)
    assert watcher.events == ["absent", "up"]


def test_stopping_ends_the_wait_for_the_next_try() -> None:
    absent = [CameraLostError("absent")] * 2
    thread, _, watcher = start(ScriptedCamera([], failing_opens=absent), retry_s=(60, 60))
    assert watcher.lost.wait(10)
    thread.stop()
    assert thread.join(10)  # the next try would be later


def test_waits_for_an_absent_camera_grow_up_to_the_longest_and_begin_anew_after_a_picture(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    absent = [CameraLostError("absent")] * 4
    camera = ScriptedCamera([frame(0), CameraLostError("unplugged"), frame(1), None], failing_opens=absent)
    thread, frames, _ = start(camera, retry_s=(0.01, 0.03))
    assert [item.frame.index for item in frames] == [0, 1]
    assert thread.join(2)
    waits = [text.rpartition("next try in ")[2] for text in caplog.messages if "next try" in text]
    assert waits == ["0.01 s", "0.02 s", "0.03 s", "0.03 s", "0.01 s"]
    assert (FIRST_RETRY_S, LAST_RETRY_S) == (0.5, 30)


def test_a_camera_that_is_back_is_opened_before_the_next_try_is_due() -> None:
    camera = ScriptedCamera([frame(0), None], failing_opens=[CameraLostError("absent")] * 3)
    thread, frames, watcher = start(camera, retry_s=(60, 60))
    assert watcher.lost.wait(2)
    camera.back.set()
    assert [item.frame.index for item in frames] == [0]
    assert thread.join(2)
    assert watcher.events == ["absent", "absent", "absent", "up"]


def test_a_driver_that_hangs_while_it_closes_is_seen_to_hang() -> None:
    camera = HangingCamera()
    thread, _, _ = start(camera)
    assert camera.closing.wait(2)
    assert thread.reading_since_s is not None
    thread.stop()
    camera.hanging.set()
    assert thread.join(2)


class HangingCamera(ScriptedCamera):
    """A camera whose driver does not come back from closing it."""

    def __init__(self) -> None:
        super().__init__([CameraLostError("unplugged")])
        self.closing, self.hanging = threading.Event(), threading.Event()

    def close(self) -> None:
        self.closing.set()
        assert self.hanging.wait(5)


def test_frames_that_the_camera_skipped_are_counted() -> None:
    thread, frames, _ = start(ScriptedCamera([frame(0), frame(4), frame(5), frame(9), None]))
    assert len(list(frames)) == 4
    assert thread.join(2)
    assert thread.skipped == 6


def test_an_error_of_a_file_ends_the_thread_and_is_kept_for_the_run() -> None:
    thread, frames, _ = start(ScriptedCamera([frame(0), InputError("broken")]))
    assert len(list(frames)) == 1
    assert thread.join(2)
    with pytest.raises(InputError, match="broken"):
        raise thread.error or AssertionError


def test_a_driver_that_hangs_while_it_is_asked_whether_the_camera_is_back_is_seen_to_hang() -> None:
    class Asked(ScriptedCamera):
        def __init__(self) -> None:
            super().__init__([], failing_opens=[CameraLostError("absent")] * 9)
            self.asking, self.answer = threading.Event(), threading.Event()

        def is_back(self) -> bool:
            self.asking.set()
            return not self.answer.wait(5)

    camera = Asked()
    thread, _, _ = start(camera)
    assert camera.asking.wait(2)
    assert thread.reading_since_s is not None
    camera.answer.set()
    thread.stop()
    assert thread.join(2)
    assert thread.reading_since_s is None


@pytest.mark.parametrize("waits", [True, False])
def test_an_input_is_made_ahead_only_of_a_frame_that_is_not_dropped(waits: bool) -> None:
    prepared: list[int] = []

    def prepare(frame: Frame) -> ModelInput:
        prepared.append(frame.index)
        return ModelInput(frame, np.zeros((1, 32, 64, 3), np.uint8), fit((64, 32), (64, 32)))

    frames: Mailbox[Captured] = Mailbox(waits=waits)
    thread = CameraThread(ScriptedCamera([frame(0), frame(1), frame(2), None]), frames, prepare, Watcher())
    thread.start()
    if waits:  # nothing is dropped
        assert [item.ahead is not None for item in frames] == [True, True, True]
        assert prepared == [0, 1, 2]
    else:  # nobody takes a frame before the last is there
        assert thread.join(2)
        assert [item.ahead for item in frames] == [None]
        assert prepared == []
    assert thread.join(2)


def test_an_input_is_made_ahead_while_the_flow_waits_for_a_frame() -> None:
    frames: Mailbox[Captured] = Mailbox()
    found: list[Captured | None] = []
    taker = threading.Thread(target=lambda: found.append(frames.get(5)))
    taker.start()
    eventually(lambda: frames.is_awaited)
    made = ModelInput(frame(0), np.zeros((1, 32, 64, 3), np.uint8), fit((64, 32), (64, 32)))
    thread = CameraThread(ScriptedCamera([frame(0), None]), frames, lambda _: made, Watcher())
    thread.start()
    taker.join(5)
    assert found[0] is not None
    assert found[0].ahead is made
    assert not frames.is_awaited
