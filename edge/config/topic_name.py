"""Names in MQTT topics: their rules, and the default device name."""

import os
import re
import socket

__all__ = ["check_name", "check_topic", "host_name"]

NAME_MAX_CHARACTERS = 64
INSTANCE_VARIABLE = "EDGE_POSE_INSTANCE"
"""Set by the unit `edge-pose@.service`, of which there is one for each camera."""


def check_name(name: str) -> None:
    """Raise ValueError unless a name can be one level of a topic."""
    if not name or len(name) > NAME_MAX_CHARACTERS:
        raise ValueError(f"must have 1 to {NAME_MAX_CHARACTERS} characters")
    if re.search(r"[/+#]", name) or not name.isprintable() or name != name.strip():
        raise ValueError(f"{name!a} cannot be part of a topic: no '/', '+', '#', no space at its ends")


def check_topic(topic: str) -> None:
    """Raise ValueError unless a text can begin a topic, with one level or more."""
    if topic.startswith("$"):
        raise ValueError("topics that start with '$' belong to the broker")
    for level in topic.split("/"):
        check_name(level)


def host_name() -> str:
    """Return the default device name: host name, plus the service instance if there is one.

    Characters that a topic cannot hold, or that some brokers refuse in it (dots among them), become dashes.
    """
    names = [socket.gethostname(), os.environ.get(INSTANCE_VARIABLE, "")]
    host, instance = (
        re.sub(r"[^\w-]", "-", name, flags=re.ASCII).strip("-") if name.isprintable() else "" for name in names
    )
    instance = instance[: NAME_MAX_CHARACTERS // 2]
    room = NAME_MAX_CHARACTERS - len(instance) - 1 if instance else NAME_MAX_CHARACTERS
    return "-".join(name for name in (host[:room] or "edge-pose", instance) if name)
