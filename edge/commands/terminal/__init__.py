"""Terminal output: a screen redrawn in place, skeletons in Braille."""
