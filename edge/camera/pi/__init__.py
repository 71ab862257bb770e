"""Camera `pi`: a camera of the Raspberry Pi's own port, through picamera2."""
