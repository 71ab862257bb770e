"""Checks the broker by a real login under another client id."""

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from edge.agent.parts import mqtt_settings
from edge.commands.doctor.checks.configuration import Setup
from edge.commands.doctor.finding import Finding, ok, problem, unknown
from edge.commands.doctor.host import Host
from edge.config.broker_address import parse_broker
from edge.config.credentials import mqtt_password
from edge.errors import ConfigError, UnavailableError
from edge.mqtt.errors import (
    ClockError,
    LinkError,
    RefusedError,
    RejectedError,
    UnsupportedProtocolError,
    UntrustedError,
    WrongPortError,
)
from edge.mqtt.settings import MqttSettings
from edge.mqtt.subscriber import Subscriber

__all__ = ["check_broker", "log_in"]

CREDENTIALS = "/etc/edge-pose"
"""Folder of the password file that the service's LoadCredential reads, named like the credential."""


def check_broker(host: Host, setup: Setup, log_in: Callable[[MqttSettings], None]) -> Finding:
    """Log in to the broker of the config.

    Args:
        host: the machine.
        setup: the config.
        log_in: connects, logs in and leaves; raises UnavailableError.
    """
    url = setup.config.mqtt.url
    if not setup.is_known:
        return unknown("broker", "not tried: the config, which names it, cannot be read")
    if not url:
        return unknown("broker", "no mqtt.url in the config: nothing is published")
    broker = parse_broker(url)
    address = str(broker)
    try:
        settings = _settings(host, setup)
        log_in(settings)
    except ConfigError as error:
        if isinstance(error.__context__, PermissionError):
            return unknown("broker", str(error), "sudo edge-pose doctor", address)
        return problem("broker", str(error), "sudo edge-pose doctor, or correct mqtt.password_file", address)
    except UnavailableError as error:
        text = str(error).removeprefix(f"broker {broker.host}:{broker.port} ")
        return problem("broker", text, _fix(error, setup), address)
    user = f"as {settings.username}" if settings.username else "without a name"
    return ok("broker", f"accepts this device {user}", address)


def log_in(settings: MqttSettings) -> None:
    """Log in with a random client id and leave. Raises UnavailableError.

    With the agent's client id a running agent would lose its connection (MQTT takeover).
    """
    client = Subscriber(settings.host, settings.port, (), lambda _topic, _payload: None, login=settings)
    client.start()
    client.stop()


def _settings(host: Host, setup: Setup) -> MqttSettings:
    settings = mqtt_settings(setup.config)
    if not settings.username or settings.password is not None:
        return settings
    environ: Mapping[str, str] = {"CREDENTIALS_DIRECTORY": str(host.path(CREDENTIALS))}
    return replace(settings, password=mqtt_password(settings.username, "", environ))


def _fix(error: UnavailableError, setup: Setup) -> str:
    """Return the fix for a failed login, by the cause of the error."""
    where = setup.path or Path("the config")
    match error.__cause__:
        case RefusedError() as refusal:
            fix = _fix_refusal(str(refusal), where)
        case ClockError():
            fix = "sudo timedatectl set-ntp true"
        case WrongPortError():
            fix = f"set mqtt.url in {where}: mqtt://HOST:1883, or mqtts://HOST:8883 for TLS"
        case UntrustedError() | RejectedError():
            fix = f"set mqtt.ca_file, mqtt.cert_file and mqtt.key_file in {where}, for the reason given"
        case UnsupportedProtocolError():
            fix = f'set mqtt.version = "auto" in {where}'
        case LinkError() as absence:
            fix = _fix_absence(setup, absence)
        case _:
            fix = f"correct the file named in {where}"
    return fix


def _fix_refusal(reason: str, where: Path) -> str:
    lowered = reason.lower()
    if any(word in lowered for word in ("not authorized", "user name", "password", "authentication")):
        return f"set mqtt.username and mqtt.password_file in {where} as the broker knows them (mosquitto_passwd there)"
    if "banned" in lowered:
        return "ask the broker's administrator: it has banned this client"
    if "identifier" in lowered:
        return "allow client ids that begin with edge-pose- on the broker"
    return "look into the broker's log: it refuses clients now"


def _fix_absence(setup: Setup, absence: LinkError) -> str:
    address = parse_broker(setup.config.mqtt.url)
    if isinstance(absence.__cause__, socket.gaierror):
        by_mdns = ", sudo apt install libnss-mdns" if address.host.endswith(".local") else ""
        return f"correct the host in mqtt.url{by_mdns}, or write the broker's IP address"
    if address.host in ("localhost", "127.0.0.1", "::1", os.uname().nodename):
        return "sudo apt install mosquitto && sudo systemctl enable --now mosquitto"
    return f"start the broker, open its port {address.port}, check the network: ping {address.host}"
