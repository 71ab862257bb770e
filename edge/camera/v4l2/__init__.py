"""Camera `v4l2`: USB cameras, by the kernel's V4L2 interface."""
