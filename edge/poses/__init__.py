"""The pure stages from an image to smoothed poses."""
