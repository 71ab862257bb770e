"""`edge-pose demo`: the whole pipeline, without hardware."""
