"""The files of the default model of edge-pose, which looks for them here."""
