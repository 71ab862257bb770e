"""FlatBuffers, and the generated classes of TFLite's schema.

They are those of tensorflow/lite/schema/schema.fbs, which only ai-edge-litert ships. Importing them takes 0.2 s.
"""

from edge.errors import UnavailableError

try:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema
except ImportError as error:
    raise UnavailableError(
        f"changing model files needs ai-edge-litert: pip install ai-edge-litert ({error})"
    ) from error

__all__ = ["flatbuffers", "schema"]
