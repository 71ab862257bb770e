"""A broker process that can be killed and restarted on its port."""

import shutil
import sys
from pathlib import Path

from tools.soak.rig.program import Program, free_port

__all__ = ["Broker"]

EMBEDDED = """
import signal, sys
from edge.mqtt.embedded_broker import EmbeddedBroker
with EmbeddedBroker(port=int(sys.argv[1])):
    signal.pause()
"""


class Broker:
    """Debian's mosquitto where it is installed, else the embedded broker.

    Args:
        folder: for its config and log.

    Attributes:
        kind: which of the two.
        port: on the loopback address.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        self.kind = "mosquitto" if mosquitto else "embedded (amqtt)"
        config = folder / "mosquitto.conf"
        # As root it would become another user, who cannot read this folder.
        config.write_text(f"listener {self.port} 127.0.0.1\nuser root\nallow_anonymous true\n")
        words = [mosquitto, "-c", str(config)] if mosquitto else [sys.executable, "-c", EMBEDDED, str(self.port)]
        self._program = Program("broker", words, folder / "broker.log")

    def start(self) -> None:
        """Start it, and wait until it listens. Raises UnavailableError."""
        self._program.start()
        self._program.wait_for(self.port)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._program.kill()
