"""Outputs beside MQTT: JSON lines, recordings, a window; their overlay."""
