"""The network, its losses, and its export to TFLite."""
