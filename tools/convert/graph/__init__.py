"""The published model as a graph: read, frozen, cut, written as TFLite."""
