"""The stages from an image to tracked, smooth poses. Pure: no clock, files, threads or logs."""
