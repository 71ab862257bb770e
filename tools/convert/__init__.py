"""Converts MoveNet MultiPose (a SavedModel) to TFLite files.

The stages, in order: `source` (get hold of the SavedModel), `freeze` (variables become constants), `find` (the six
heads), `cut` (what lies above them), `build` (a float file) or `quantize` (an int8 one, from what `calibration` shows
it; `join` adds the graph's own decode), `label` (names and notes), `verify` (against the graph, on pictures), `report`
and, for a Coral, `edgetpu`. `job` is one file's way through them, `command` is `tools/convert.py`.
"""
