"""The card: a hand-written Markdown page with a place for figures."""

from pathlib import Path

from edge.errors import InputError
from edge.host.atomic_write import target_of, write_whole

__all__ = ["BEGIN", "END", "put_figures", "require_place"]

BEGIN = "<!-- figures: written by make model-card; what stands here is replaced -->"
END = "<!-- end of figures -->"


def require_place(card: Path) -> None:
    """Check that a card has a place for figures.

    Raises:
        InputError: it cannot be read, or does not have each of the two markers once, on lines of their own, in order.
        UnavailableError: it is no regular file.
    """
    _split(card)


def put_figures(card: Path, text: str) -> None:
    """Replace the text between a card's markers, by an atomic write.

    Raises:
        InputError: see `require_place`.
        UnavailableError: likewise, or it cannot be written.
    """
    before, after = _split(card)
    write_whole(card, f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}\n{after}".encode())


def _split(card: Path) -> tuple[str, str]:
    try:
        target_of(card)  # of a device one could read for ever
        lines = card.read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError as error:
        raise InputError(f"{card}: cannot read the card: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{card}: cannot read the card: it is not UTF-8") from error
    begins, ends = ([at for at, line in enumerate(lines) if line.strip() == marker] for marker in (BEGIN, END))
    if len(begins) != 1 or len(ends) != 1 or begins[0] > ends[0]:
        raise InputError(f"{card}: no place for the figures; needed are these two lines, each once: {BEGIN} and {END}")
    return "".join(lines[: begins[0]]), "".join(lines[ends[0] + 1 :])
