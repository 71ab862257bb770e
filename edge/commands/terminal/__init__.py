"""Drawing in a terminal: a screen that is redrawn in place, skeletons in Braille."""
