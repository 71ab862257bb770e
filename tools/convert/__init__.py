"""Converts MoveNet MultiPose to TFLite files.

The stages for a SavedModel, in order: graph/`source` (get it), `freeze` (variables become constants), `find` (the six
heads), `cut` (the network above them), `build` (a float file) or int8/`quantize` (an int8 one, from the pictures of
`calibration`; graph/`join` adds the graph's own decode), `label` (names and notes), checks/`verify` (against the graph,
on pictures), `report` and, for a Coral, `edgetpu`. `job` takes one file through them, `command` is the whole command.

For heads of a graph model `published` stands in for all before `verify`: it reads and writes with `edge.graph`. For the
rest graph/`unfuse` stands in for `source` and `freeze`.
"""
