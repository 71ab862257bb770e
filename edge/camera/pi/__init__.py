"""Camera `pi`: the Raspberry Pi's camera port, by picamera2."""
