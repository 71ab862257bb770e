"""The agent in a process of its own, with a config file."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from tools.soak.rig.program import Program

__all__ = ["DEVICE", "Agent"]

DEVICE = "soak"
STOP_S = 10.0
CONFIG = """\
[device]
name = "{device}"

[camera]
source = {source}

[model]
name = {model}
delegate = "edgetpu"

[mqtt]
url = "mqtt://127.0.0.1:{port}"

[health]
interval_s = 2.0
"""


class Agent(Program):
    """The process of `edge-pose run`.

    Args:
        folder: for its config and log.
        source: SRC of the camera.
        model: name in the manifest, compiled for the Edge TPU.
        port: of the broker.
        env: what its environment has in addition.
    """

    def __init__(self, folder: Path, source: str, model: str, port: int, env: Mapping[str, str]) -> None:
        config = folder / "edge-pose.toml"
        # A JSON string is a TOML string.
        text = CONFIG.format(device=DEVICE, source=json.dumps(source), model=json.dumps(model), port=port)
        config.write_text(text, encoding="utf-8")
        self._log_file = folder / "agent.log"
        words = [sys.executable, "-m", "edge", "run", "--config", str(config)]
        super().__init__("agent", words, self._log_file, env={**os.environ, **env}, last_signal="TERM")

    def log(self) -> str:
        """Return its log."""
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""

    def end(self) -> tuple[int | None, float]:
        """Stop it as systemd would; see `Program.stop`."""
        return self.stop(STOP_S)
