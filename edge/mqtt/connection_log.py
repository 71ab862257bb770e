"""Logs each connection problem once per outage."""

import logging

from edge.mqtt.errors import DuplicateClientError, LinkError
from edge.mqtt.settings import MqttSettings

__all__ = ["ConnectionLog"]

_log = logging.getLogger(__name__)
MAX_SAID = 100
"""Strangers may invent any number of runs."""


class ConnectionLog:
    """Logs each kind of connection problem once, until the broker is back."""

    def __init__(self, settings: MqttSettings) -> None:
        self._settings = settings
        self._broker = f"{settings.host}:{settings.port}"
        self._logged_kinds: set[str] = set()
        self._was_connected = False
        self._is_downgraded = False
        self._forbidden: set[str] = set()
        self._said: set[str] = set()

    def downgraded(self) -> None:
        """Log, once per run, that MQTT 3.1.1 is used."""
        if not self._is_downgraded:
            self._is_downgraded = True
            _log.info("broker %s does not speak MQTT 5: going on with 3.1.1", self._broker)

    def connected(self) -> None:
        """Log that publishing starts or resumes."""
        _log.info("broker %s %s", self._broker, "back" if self._was_connected else "connected")
        self._was_connected = True
        self._logged_kinds.clear()

    def failed(self, error: LinkError, retry_s: float) -> None:
        """Log an error as a warning; repetitions in one outage for debugging only."""
        if error.kind in self._logged_kinds:
            _log.debug("broker %s: another try failed, retry in %.0f s (%s)", self._broker, retry_s, error)
            return
        self._logged_kinds.add(error.kind)
        if isinstance(error, DuplicateClientError):
            _log.error(
                "duplicate device name %s/%s (also used by %s): publishing paused, retry in %.0f s; "
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
        """Log, once per run and topic, that the broker discarded a message."""
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

    def too_large(self, topic: str, max_bytes: int | None) -> None:
        """Log, once per run and topic, that the broker takes no message of this size."""
        self._once(
            f"{topic} size", "takes no packet above %s bytes: %s messages above it are dropped", max_bytes, topic
        )

    def keeps_nothing(self) -> None:
        """Log, once per run, that the broker keeps no messages."""
        self._once("retain", "keeps no messages: who subscribes gets status and people with the next health message")

    def duplicate(self, run: str) -> None:
        """Log, once per other run, that it says it is this device."""
        self._once(
            f"run {run}",
            "has messages of another run (%s) under %s/%s, which goes on: give one of them another device.name",
            run,
            self._settings.base_topic,
            self._settings.device,
        )

    def _once(self, key: str, text: str, *arguments: object) -> None:
        if key not in self._said and len(self._said) < MAX_SAID:
            self._said.add(key)
            _log.warning(f"broker %s {text}", self._broker, *arguments)

    def crashed(self) -> None:
        """Log the exception being handled, a bug, with its traceback."""
        _log.exception("broker %s: the connection is given up", self._broker)

    def _absence(self) -> str:
        return "gone: publishing stops" if self._was_connected else "cannot be reached: nothing is published"
