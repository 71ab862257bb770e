"""Camera `v4l2`: a USB camera, through the kernel's V4L2 interface."""
