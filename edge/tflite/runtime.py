"""The TFLite runtime: ai-edge-litert, else tflite-runtime."""

from edge.errors import UnavailableError

try:
    from ai_edge_litert.interpreter import Interpreter, load_delegate

    RUNTIME = "ai-edge-litert"
except ImportError:
    try:
        from tflite_runtime.interpreter import Interpreter, load_delegate

        RUNTIME = "tflite-runtime"
    except ImportError as error:
        raise UnavailableError(
            "no TFLite runtime: pip install ai-edge-litert (wheels for 64-bit ARM and x86-64; 32-bit Raspberry "
            f"Pi OS has none, install the 64-bit one) ({error})"
        ) from error

__all__ = ["RUNTIME", "Interpreter", "load_delegate"]
