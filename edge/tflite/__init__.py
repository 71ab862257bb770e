"""A TFLite file as tables: read, cut, prune, resize and pack it, and our notes in it."""
