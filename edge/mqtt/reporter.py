"""What the log says about the broker: each change once, not each attempt."""

import logging

from edge.mqtt.errors import LinkError, NamesakeError
from edge.mqtt.settings import MqttSettings

__all__ = ["News"]

_log = logging.getLogger(__name__)


class News:
    """Remembers what was told since the broker was last there."""

    def __init__(self, settings: MqttSettings) -> None:
        self._settings = settings
        self._broker = f"{settings.host}:{settings.port}"
        self._told: set[str] = set()
        self._was_there = False
        self._stepped_down = False
        self._forbidden: set[str] = set()

    def stepped_down(self) -> None:
        """Tell, once per run, that the broker speaks the older protocol only."""
        if not self._stepped_down:
            self._stepped_down = True
            _log.info("broker %s does not speak MQTT 5: going on with 3.1.1", self._broker)

    def connected(self) -> None:
        """Tell that publishing begins or goes on."""
        _log.info("broker %s %s", self._broker, "back" if self._was_there else "connected")
        self._was_there = True
        self._told.clear()

    def trouble(self, error: LinkError, retry_s: float) -> None:
        """Tell each kind of trouble once, until the broker is back."""
        if error.kind in self._told:
            _log.debug("broker %s: another try failed, retry in %.0f s (%s)", self._broker, retry_s, error)
            return
        self._told.add(error.kind)
        if isinstance(error, NamesakeError):
            _log.error(
                "another agent is called %s/%s too (%s): publishing stops, retry in %.0f s; "
                "give one of them another device.name",
                self._settings.base_topic,
                self._settings.device,
                error,
                retry_s,
            )
            return
        what = f"{error.what}: nothing is published" if error.what else self._absence()
        _log.warning("broker %s %s, retry in %.0f s (%s)", self._broker, what, retry_s, error)

    def forbidden(self, topic: str, reason: str) -> None:
        """Tell, once per run and topic, that the broker threw a message away."""
        if topic not in self._forbidden:
            self._forbidden.add(topic)
            _log.warning(
                "broker %s does not let this agent publish %s (%s): its access list must allow %s/%s/#",
                self._broker,
                topic,
                reason,
                self._settings.base_topic,
                self._settings.device,
            )

    def bug(self) -> None:
        """Tell about a mistake of ours with its traceback."""
        _log.exception("broker %s: the connection is given up", self._broker)

    def _absence(self) -> str:
        return "gone: publishing stops" if self._was_there else "cannot be reached: nothing is published"
