"""Output `record`: annotated frames as a video file, in segments."""
