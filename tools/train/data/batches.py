"""Makes batches ahead of the training: mixed, augmented, with targets."""

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from tools.train.data.augment import Variety, choose_view, mosaic, recolour, take_view
from tools.train.data.batch import Batch, SoftMaps, collate
from tools.train.data.picture import Picture
from tools.train.data.targets import make_targets

__all__ = ["Batches", "Mapper", "Share", "Source"]

AHEAD = 6
"""Batches made in advance."""
MOSAICS = 0.1
"""Share of inputs made of four views of half the side: many people, without the emptiness around small pictures."""


class Source(Protocol):
    """Where pictures come from."""

    name: str

    def picture(self, rng: np.random.Generator) -> Picture:
        """Return one of its pictures, chosen by `rng`."""
        ...


class Mapper(Protocol):
    """Makes soft targets of pictures: `train.teacher.distillation.SoftTeacher`."""

    def maps(self, pictures: Sequence[Picture]) -> SoftMaps:
        """Return the maps of pictures of one size. Called by several threads."""
        ...


@dataclass(frozen=True, slots=True)
class Share:
    """A source, and its weight among the others."""

    source: Source
    weight: float


class Batches:
    """Makes batches in threads; batch n does not depend on their number.

    Args:
        shares: what to mix.
        size: pictures in a batch.
        side: of the square input in pixels.
        seed: other batches.
        first: number of the first batch, of a training that goes on.
        workers: threads.
        variety: how far pictures are varied.
        mapper: makes soft targets of every batch.
    """

    def __init__(
        self,
        shares: Sequence[Share],
        *,
        size: int,
        side: int,
        seed: int = 0,
        first: int = 0,
        workers: int = 1,
        variety: Variety | None = None,
        mapper: Mapper | None = None,
    ) -> None:
        self._shares, self._size, self._side, self._seed = list(shares), size, side, seed
        self._variety, self._mapper = variety or Variety(), mapper
        self._weights = np.array([share.weight for share in shares], float)
        self._weights /= self._weights.sum()
        self._stop = threading.Event()
        self._lanes: list[queue.Queue[Batch | BaseException]] = [
            queue.Queue(max(1, AHEAD // workers)) for _ in range(workers)
        ]
        self._next = first
        self._threads = [
            threading.Thread(target=self._work, args=(lane, first + number), daemon=True)
            for number, lane in enumerate(self._lanes)
        ]
        self._first = first
        for thread in self._threads:
            thread.start()

    def __iter__(self) -> Iterator[Batch]:
        while True:
            lane = self._lanes[(self._next - self._first) % len(self._lanes)]
            self._next += 1
            made = lane.get()
            if isinstance(made, BaseException):
                raise made
            yield made

    def close(self) -> None:
        """End the threads."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=10)

    def make(self, number: int) -> Batch:
        """Return batch `number`."""
        rng = np.random.default_rng((self._seed, number))
        pictures = [self._one(rng) for _ in range(self._size)]
        batch = collate(pictures, [make_targets(each) for each in pictures])
        return batch if self._mapper is None else replace(batch, soft=self._mapper.maps(pictures))

    def _one(self, rng: np.random.Generator) -> Picture:
        if rng.random() < MOSAICS:
            # A whole picture in a quarter of the input has no person large enough to learn from.
            tile = replace(self._variety, max_extent_px=self._variety.max_extent_px / 2, whole=0.0)
            return mosaic([self._view(rng, self._side // 2, tile) for _ in range(4)])
        return self._view(rng, self._side, self._variety)

    def _view(self, rng: np.random.Generator, side: int, variety: Variety) -> Picture:
        share = self._shares[rng.choice(len(self._shares), p=self._weights)]
        picture = share.source.picture(rng)
        seen = take_view(picture, choose_view(picture, side, rng, variety), side, rng)
        return replace(seen, image=recolour(seen.image, rng))

    def _work(self, lane: "queue.Queue[Batch | BaseException]", number: int) -> None:
        try:
            while not self._stop.is_set():
                self._hand_over(lane, self.make(number))
                number += len(self._lanes)
        except BaseException as error:  # noqa: BLE001 - raised again in the consumer's thread
            self._hand_over(lane, error)

    def _hand_over(self, lane: "queue.Queue[Batch | BaseException]", made: Batch | BaseException) -> None:
        while not self._stop.is_set():
            try:
                lane.put(made, timeout=0.2)
            except queue.Full:
                continue
            return
