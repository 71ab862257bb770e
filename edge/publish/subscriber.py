"""The other side: receives an agent's messages from a broker. For the demo; it does not reconnect."""

from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

__all__ = ["Subscriber"]


class Subscriber:
    """Receives the messages of some topics on a thread of its own.

    Args:
        host: of the broker.
        port: of the broker.
        topics: topic filters to subscribe to.
        on_message: called with topic and payload, on the subscriber's thread.
    """

    def __init__(self, host: str, port: int, topics: list[str], on_message: Callable[[str, bytes], None]) -> None:
        self._host, self._port = host, port
        self._topics = topics
        self._on_message = on_message
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = self._subscribe
        self._client.on_message = self._receive

    def start(self) -> None:
        """Connect and listen in the background. Raises OSError when there is no broker."""
        self._client.connect(self._host, self._port)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect and end the thread."""
        self._client.disconnect()
        self._client.loop_stop()

    def _subscribe(self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not reason.is_failure:
            client.subscribe([(topic, 0) for topic in self._topics])

    def _receive(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        self._on_message(message.topic, bytes(message.payload))
