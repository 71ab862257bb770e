"""`edge-pose demo`: agent, broker and subscriber on synthetic people.

The agent is a separate process, as on a device; this process runs the embedded broker and subscribes.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from edge.agent.loading import is_dynamic
from edge.camera.files import PICTURE_SUFFIXES
from edge.commands.demo.tally import Tally
from edge.commands.terminal.screen import takes_screen
from edge.commands.watch.command import Watch, WatchOptions
from edge.config import load
from edge.errors import EdgeError, UnavailableError
from edge.host.process import PYTHON
from edge.models.files import is_path
from edge.models.selection import select
from edge.mqtt.settings import MqttSettings
from edge.payload import PersonPose
from edge.poses.pose import Pose

if TYPE_CHECKING:
    from edge.mqtt.embedded_broker import EmbeddedBroker

# Drivers and OpenCV are imported late: `edge-pose --help` must not wait for them.
# ruff: noqa: PLC0415

__all__ = ["Demo"]

DEVICE = "demo"
MODEL_SIZE = "256x448"
LINE_PERIOD_S = 1.0
POLL_S = 0.05
HEALTH_S = 2.0
"""Shorter than the default: a demonstration should show metrics soon."""
AGENT = "import ctypes; ctypes.CDLL(None).prctl(1, 15); from edge.cli import entry; entry()"
"""Starts the agent; prctl(PR_SET_PDEATHSIG = 1) sends it SIGTERM (15) when this process dies."""
FIRST_POSE_S = 30.0
"""Timeout of the first message; a Raspberry Pi needs a few seconds."""
STOP_S = 5.0


class Demo:
    """One demonstration.

    Args:
        seconds: duration, counted from the first message; None: until `stop`.
        model: name or file for `--model`; None for the default.
        picture: file for an annotated frame at the end; None for none.
        out: text stream for the view.
    """

    def __init__(
        self, *, seconds: float | None, model: str | None, picture: Path | None, out: TextIO = sys.stdout
    ) -> None:
        self._seconds = seconds
        self._model = model
        self._picture = picture
        self._out = out
        self._stopping = False  # a plain flag: it is set from a signal handler
        self._tally = Tally()
        self._lock = threading.Lock()

    def stop(self) -> None:
        """End the demonstration; harmless from a signal handler."""
        self._stopping = True

    def run(self) -> int:
        """Run the demonstration; return 0 only if poses arrived over MQTT.

        Raises:
            EdgeError: the agent ended with an error of its own, or nothing arrived.
        """
        from edge.mqtt.subscriber import Subscriber

        if self._picture is not None:
            _check_picture(self._picture)
        EmbeddedBroker = _broker_class()  # noqa: N806 - it is a class
        command = self._command()
        with EmbeddedBroker() as broker, tempfile.TemporaryFile("w+") as log:
            subscriber = Subscriber("127.0.0.1", broker.port, [f"edge-pose/{DEVICE}/pose"], self._receive)
            subscriber.start()
            words = (*command, "--mqtt", f"mqtt://127.0.0.1:{broker.port}")
            agent = subprocess.Popen(words, stderr=log, start_new_session=True)  # noqa: S603
            try:
                self._show(agent, broker.port)
            finally:
                _end(agent)
                subscriber.stop()
            log.seek(0)
            self._raise_unless_seen(agent, log.read())
        if self._picture is not None:
            self._leave_picture(self._picture)
        self._print(f"demo: {self._tally.summary()}")
        return 0

    def _command(self) -> Sequence[str]:
        """Return the agent's command without its broker; finds or fetches the model first."""
        by_path = self._model is not None and is_path(self._model)
        config = load(None, {"model.file" if by_path else "model.name": self._model})
        takes_any_size, choice = select(config.model, lambda choice: is_dynamic(choice.model))
        # A starter in place of the default is reported once, here, and not again by the agent.
        name = choice.model.name if choice.fallback_reason else self._model
        model = () if name is None else ("--model", name)
        # The hall is wide and its people are small: a smaller size would miss more of them on a busy machine.
        size = ("--set", f"model.size={MODEL_SIZE}") if takes_any_size else ()
        scene = ("run", "--camera", "scene", "--set", f"device.name={DEVICE}", "--set", f"health.interval_s={HEALTH_S}")
        return (*PYTHON, "-c", AGENT, *scene, *size, *model)

    def _receive(self, _topic: str, payload: bytes) -> None:
        with self._lock:
            self._tally.take(payload)

    def _show(self, agent: subprocess.Popen[bytes], port: int) -> None:
        """Show the messages until the end.

        In a terminal in the view of `edge-pose watch`, else as a line per second.
        """
        started_s = time.monotonic()

        def is_over() -> bool:
            return self._stopping or agent.poll() is not None or self._is_late(started_s)

        self._print("starting broker, agent and subscriber; Ctrl-C ends it")
        if takes_screen(self._out) and _can_show_braille(self._out):
            view = Watch(
                MqttSettings(host="127.0.0.1", port=port, device=DEVICE),
                WatchOptions(device=DEVICE),
                out=self._out,
                is_over=is_over,
            )
            view.open()
            view.run()
            self._stopping = self._stopping or not is_over()  # the key q
        else:
            self._show_lines(is_over)

    def _is_late(self, started_s: float) -> bool:
        """Return whether the first message is overdue, or the duration is over."""
        first_s = self._tally.first_s
        if first_s is None:
            return time.monotonic() - started_s > FIRST_POSE_S
        return self._seconds is not None and time.monotonic() - first_s >= self._seconds

    def _show_lines(self, is_over: Callable[[], bool]) -> None:
        next_s = time.monotonic()
        while not is_over():
            if self._tally.messages and time.monotonic() >= next_s:
                next_s = time.monotonic() + LINE_PERIOD_S
                with self._lock:
                    latest, text = self._tally.latest, self._tally.summary()
                self._print(f"  {_people(len(latest.poses) if latest else 0)} now; {text}")
            time.sleep(POLL_S)

    def _raise_unless_seen(self, agent: subprocess.Popen[bytes], log: str) -> None:
        if self._stopping and not self._tally.people:
            raise UnavailableError("stopped before the first pose arrived")
        if agent.returncode > 0:
            words = [line for line in log.splitlines() if line.startswith("edge-pose: ")]
            error = EdgeError("; ".join(word.removeprefix("edge-pose: ") for word in words) or log[-500:])
            error.exit_code = agent.returncode
            raise error
        if not self._tally.people:
            last = (log.splitlines() or ["no output of the agent"])[-1]
            raise UnavailableError(f"no poses arrived over MQTT, {self._tally.messages} empty messages ({last})")

    def _leave_picture(self, path: Path) -> None:
        """Save the frame with the most people, drawn with the poses that arrived.

        The scene can render any frame again by its number.
        """
        import cv2

        from edge.poses.drawing import draw_poses
        from edge.scene.scene import Scene

        message = self._tally.fullest
        assert message is not None
        image, _ = Scene(size=message.size).draw(message.seq)
        draw_poses(image, [_pose(person) for person in message.poses])
        if cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)):
            self._print(f"picture: {path.resolve()} (frame {message.seq}, {_people(len(message.poses))})")
        else:
            self._print(f"picture: {path} cannot be written")

    def _print(self, text: str) -> None:
        try:
            print(text, file=self._out, flush=True)
        except BrokenPipeError:  # the reader has gone
            self._stopping = True


def _check_picture(path: Path) -> None:
    """Check before the demonstration that a picture can be written. Raises UnavailableError."""
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise UnavailableError(f"{path}: a picture's name ends in one of {', '.join(sorted(PICTURE_SUFFIXES))}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UnavailableError(f"{path}: cannot be written: no such folder, or no permission")


def _can_show_braille(out: TextIO) -> bool:
    try:
        "\u28ff".encode(getattr(out, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _people(count: int) -> str:
    return f"{count} person" if count == 1 else f"{count} people"


def _broker_class() -> "type[EmbeddedBroker]":
    try:
        from edge.mqtt.embedded_broker import EmbeddedBroker
    except ImportError as error:
        raise UnavailableError(
            f"the demo needs an MQTT broker: pip install 'edge-pose[demo]' (no module {error.name})"
        ) from error
    return EmbeddedBroker


def _pose(person: PersonPose) -> Pose:
    keypoints = np.array(person.keypoints, np.float32)
    return Pose(keypoints, np.array(person.box, np.float32), person.score, person.id)


def _end(agent: subprocess.Popen[bytes]) -> None:
    """Stop the agent as systemd would."""
    if agent.poll() is None:
        agent.send_signal(signal.SIGTERM)
    try:
        agent.wait(STOP_S)
    except subprocess.TimeoutExpired:
        agent.kill()
        agent.wait()
