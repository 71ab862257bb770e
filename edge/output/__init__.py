"""Outputs beside MQTT: JSON lines, recordings, a window; and what two of them draw."""
