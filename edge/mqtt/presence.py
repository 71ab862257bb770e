"""Looks for another run that has this device's name, without disturbing it."""

import time
from collections.abc import Callable

import msgspec

from edge.mqtt.link import Link
from edge.mqtt.session import other_run
from edge.mqtt.settings import MqttSettings
from edge.payload import Message

__all__ = ["find_other_run"]

LISTEN_S = 2.5
"""How long to listen for somebody who may be there: at 0.5 frames per second one pose comes."""


def find_other_run(link: Link, settings: MqttSettings, run: str, give_up: Callable[[], bool]) -> str | None:
    """Return another run that publishes under this device's name, None if nobody does.

    A kept status says who was there last. Only if that is another run, and not offline, is listened for it: a power cut
    leaves `online` behind.

    Args:
        link: logged in as a client of its own.
        settings: the topics.
        run: this run.
        give_up: ends the search.

    Raises:
        LinkError: the connection is lost.
    """
    link.subscribe(settings.topic("status"))
    link.probe()
    until_s = time.monotonic() + LISTEN_S
    suspect: str | None = None
    while not give_up() and time.monotonic() < until_s:
        link.poll(0.1)
        messages, link.messages = link.messages, []
        for message in messages:
            payload = bytes(message.payload)
            if message.topic == settings.topic("status") and (found := other_run(payload, run)) is not None:
                if not message.retain:
                    return found
                suspect = suspect or found
                link.subscribe(settings.topic("pose"))
                link.subscribe(settings.topic("health"))
            elif suspect is not None and not message.retain and _is_other(payload, run):
                return suspect
        if suspect is None and link.take_probe_answer():
            return None
    return None


def _is_other(payload: bytes, run: str) -> bool:
    try:
        return msgspec.json.decode(payload, type=Message).run != run
    except (ValueError, RecursionError):
        return False
