"""Reads and edits TFLite files, and our notes in them."""
