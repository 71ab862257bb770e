"""The window's icon: a skeleton in the overlay's colours."""

import pygame

from edge.poses.drawing import Colours

__all__ = ["make_icon"]

SIDE_PX = 64
HEAD, NECK, HIPS = (32, 14), (32, 26), (32, 40)
LIMBS = (("left", (50, 36), (44, 60)), ("right", (14, 36), (20, 60)))  # side of the person, hand, foot


def make_icon() -> pygame.Surface:
    """Return the icon, 64x64 pixels with transparent corners."""
    icon = pygame.Surface((SIDE_PX, SIDE_PX), pygame.SRCALPHA)
    colours = Colours()
    pygame.draw.rect(icon, colours.outline, icon.get_rect(), border_radius=12)
    for side, hand, foot in LIMBS:
        colour = colours.left if side == "left" else colours.right
        pygame.draw.line(icon, colour, NECK, hand, 5)
        pygame.draw.line(icon, colour, HIPS, foot, 5)
    pygame.draw.line(icon, colours.middle, NECK, HIPS, 5)
    pygame.draw.circle(icon, colours.middle, HEAD, 8)
    return icon
