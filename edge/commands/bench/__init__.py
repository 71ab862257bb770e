"""`edge-pose bench`: measures the models on this machine."""
