"""MQTT: the publishing sink, a subscriber and an embedded broker."""
