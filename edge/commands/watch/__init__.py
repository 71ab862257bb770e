"""`edge-pose watch`: every device on a broker, live."""
