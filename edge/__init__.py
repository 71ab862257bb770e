"""edge-pose: people on camera become pose JSON over MQTT."""

__version__ = "0.2.0"
