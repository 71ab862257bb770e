"""Draws the window's texts by pygame: bar, banner, note, help."""

import pygame

from edge.output.window.keys import HELP
from edge.output.window.panel import PanelText

__all__ = ["Lettering", "bar_px"]

Rgb = tuple[int, int, int]

WHITE: Rgb = (238, 238, 238)
GREY: Rgb = (160, 160, 168)
PLATE: Rgb = (26, 26, 30)
EDGE: Rgb = (70, 70, 78)
OK_GREEN: Rgb = (86, 200, 130)
WARNING: Rgb = (255, 176, 32)

MAX_CACHED_TEXTS = 64
FINE = 2
"""Letters are drawn at this scale and scaled down, as whole pixels between small letters look uneven."""


def bar_px(height_px: int) -> int:
    """Return the bar's height for a window's; letters are in proportion to it."""
    return min(max(round(height_px / 22), 24), 64)


class Lettering:
    """Draws a `PanelText` over a picture.

    Rendered texts are cached, as most stay the same for many frames.
    """

    def __init__(self) -> None:
        self._fonts: dict[int, pygame.font.Font] = {}
        self._texts: dict[tuple[str, int, Rgb], pygame.Surface] = {}

    def open(self) -> None:
        """Load the font library. Raises pygame.error."""
        pygame.font.init()

    def close(self) -> None:
        """Release the fonts."""
        self._texts.clear()
        self._fonts.clear()
        pygame.font.quit()

    def draw(self, surface: pygame.Surface, content: PanelText) -> None:
        """Draw the bar at the bottom of `surface`, the other texts above it."""
        bar = pygame.Rect(0, 0, surface.get_width(), bar_px(surface.get_height()))
        bar.bottom = surface.get_height()
        room = pygame.Rect(0, 0, bar.width, bar.top)
        letter_px = round(bar.height * 0.5)
        self._draw_bar(surface, content, bar, letter_px)
        if content.banner:
            self._draw_banner(surface, content.banner, room, letter_px)
        if content.has_help:
            self._draw_help(surface, room, letter_px)
        if content.note:
            self._draw_note(surface, content.note, room, letter_px)

    def _draw_bar(self, surface: pygame.Surface, content: PanelText, bar: pygame.Rect, letter_px: int) -> None:
        """Draw a dot, place and state to the left, metrics to the right."""
        surface.fill(PLATE, bar)
        right = bar.right - letter_px
        for text, colour in (("h: help", GREY), (content.metrics, WHITE), ("private" * content.private, WARNING)):
            right = self._put_left_of(surface, text, colour, letter_px, (right, bar.centery))
        pygame.draw.aacircle(
            surface, OK_GREEN if content.is_ok else WARNING, (bar.left + letter_px, bar.centery), letter_px / 3
        )
        left = bar.left + 2 * letter_px
        for text, colour in ((content.place, WHITE), (content.state, OK_GREEN if content.is_ok else WARNING)):
            drawn = self._clipped(text, letter_px, colour, right - left)
            surface.blit(drawn, drawn.get_rect(midleft=(left, bar.centery)))
            left += drawn.get_width() + letter_px

    def _put_left_of(self, surface: pygame.Surface, text: str, colour: Rgb, letter_px: int, at: tuple[int, int]) -> int:
        """Draw text that ends at the point `at`; return the end of the next one to its left."""
        if not text:
            return at[0]
        drawn = self._text(text, letter_px, colour)
        where = drawn.get_rect(midright=at)
        surface.blit(drawn, where)
        return where.left - round(1.5 * letter_px)

    def _draw_banner(self, surface: pygame.Surface, lines: tuple[str, ...], room: pygame.Rect, letter_px: int) -> None:
        """Draw large lines in the middle, the first in the warning colour."""
        y = room.centery - round(1.25 * letter_px * (len(lines) - 1))
        for at, line in enumerate(lines):
            px, colour = (round(1.8 * letter_px), WARNING) if at == 0 else (round(1.3 * letter_px), WHITE)
            drawn = self._clipped(line, px, colour, room.width - 2 * letter_px)
            surface.blit(drawn, drawn.get_rect(center=(room.centerx, y)))
            y += round(2.5 * letter_px)

    def _draw_note(self, surface: pygame.Surface, note: str, room: pygame.Rect, letter_px: int) -> None:
        drawn = self._clipped(note, letter_px, WHITE, room.width - 4 * letter_px)
        plate = drawn.get_rect(midbottom=(room.centerx, room.bottom - 2 * letter_px))
        self._plate(surface, plate.inflate(2 * letter_px, letter_px), letter_px)
        surface.blit(drawn, plate)

    def _draw_help(self, surface: pygame.Surface, room: pygame.Rect, letter_px: int) -> None:
        """Draw keys and their actions, in two columns on a plate."""
        keys = [self._text(keys, letter_px, WARNING) for keys, _ in HELP]
        words = [self._text(words, letter_px, WHITE) for _, words in HELP]
        first = max(drawn.get_width() for drawn in keys) + 2 * letter_px
        row_px = round(1.8 * letter_px)
        inside = pygame.Rect(0, 0, first + max(drawn.get_width() for drawn in words), row_px * len(HELP))
        inside.center = room.center
        self._plate(surface, inside.inflate(4 * letter_px, 2 * letter_px), letter_px)
        for row, (key, word) in enumerate(zip(keys, words, strict=True)):
            y = inside.top + round((row + 0.5) * row_px)
            surface.blit(key, key.get_rect(midleft=(inside.left, y)))
            surface.blit(word, word.get_rect(midleft=(inside.left + first, y)))

    def _plate(self, surface: pygame.Surface, where: pygame.Rect, letter_px: int) -> None:
        pygame.draw.rect(surface, PLATE, where, border_radius=letter_px // 2)
        pygame.draw.rect(surface, EDGE, where, width=1, border_radius=letter_px // 2)

    def _clipped(self, text: str, px: int, colour: Rgb, width_px: int) -> pygame.Surface:
        """Return the text, shortened to fit."""
        drawn = self._text(text, px, colour)
        while drawn.get_width() > width_px and text:
            text = text[: min(len(text) - 1, len(text) * max(width_px, 0) // drawn.get_width())]
            drawn = self._text(f"{text.rstrip()}…" if text else "", px, colour)
        return drawn

    def _text(self, text: str, px: int, colour: Rgb) -> pygame.Surface:
        wanted = (text, px, colour)
        if wanted not in self._texts:
            if len(self._texts) >= MAX_CACHED_TEXTS:
                self._texts.clear()
            large = self._font(px).render(text, True, colour)
            half = (large.get_width() // FINE, large.get_height() // FINE)
            self._texts[wanted] = pygame.transform.smoothscale(large, half)
        return self._texts[wanted]

    def _font(self, px: int) -> pygame.font.Font:
        if px not in self._fonts:
            self._fonts[px] = pygame.font.Font(
                None, round(px * 1.35 * FINE)
            )  # its letters are smaller than the font size
        return self._fonts[px]
