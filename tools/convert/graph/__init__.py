"""The published model as a graph: read, frozen, cut at its heads, written as TFLite."""
