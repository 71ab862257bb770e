"""Output `record`: annotated frames as a series of video files."""
