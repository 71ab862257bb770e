"""Decodes the raw maps of MoveNet's heads into people.

It does what the published graph does behind its heads. Coordinates in here are cells of the maps (stride 4: a cell is
4x4 pixels of the model's input), in the network's order y, x. The returned rows are normalized to the model's input and
laid out like the output of the whole graph.

The steps and their constants are those of the graph published as tfhub.dev/google/movenet/multipose/lightning/1 (the
method is that of CenterNet: Zhou, Wang and Kraehenbuehl, "Objects as Points", 2019):

1. people are the peaks of the center map;
2. the regression at a peak gives a first guess (seed) of each of its keypoints;
3. a keypoint is the cell of greatest heat times a Gaussian around its seed, inside the person's box;
4. the offset at that cell moves it to a place between cells.

A model that was cut out of single-pose Lightning has no boxes: its keypoints are searched for around the seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.poses.head_maps import Floats, HeadsSpec
from edge.poses.pose import KEYPOINTS

__all__ = ["MIN_BOX_KEYPOINT_SCORE", "PEAK_SIDE", "HeadsDecoder"]

PEAK_SIDE = 5
"""A center is the greatest of its 5x5 cells."""
GRAPH_PEOPLE = 6
"""Number of centers that the graph takes."""
MIN_BOX_KEYPOINT_SCORE = 0.2
"""Keypoints from this score on make the box of a person whose model gives none (the score from which on MoveNet's own
crop algorithm trusts a keypoint, TF Hub's MoveNet tutorial)."""
SEED_MARGIN = 0.15
MIN_SEED_MARGIN = 3.0
"""Without boxes, the search goes beyond the seeds by this share of their extent, and by at least this many cells."""


@dataclass(frozen=True, slots=True)
class _People:
    """The P best centers, best first.

    Attributes:
        scores: (P,) of the centers.
        seeds: (P, 17, [y, x]) where the regression puts the keypoints.
        boxes: (P, [y0, x0, y1, x1]) clipped to the map; keypoints lie in y0 <= y < y1, x0 <= x < x1.
    """

    scores: Floats
    seeds: Floats
    boxes: Floats


class HeadsDecoder:
    """Decodes the maps of one model into people.

    Work arrays as large as the maps are allocated once. Not thread-safe.

    Args:
        spec: size and quantization of the maps.
    """

    def __init__(self, spec: HeadsSpec) -> None:
        self.spec = spec
        width, height = spec.size
        self._grid = np.arange(max(height, width), dtype=np.float32)
        self._spread = spec.constants.gaussian * min(height, width)
        self._centers = np.empty((height, width), np.float32)
        self._highest = np.empty((height, width), np.float32)
        self._heat = np.empty(height * width * KEYPOINTS, np.float32)
        self._kernel = np.ones((PEAK_SIDE, PEAK_SIDE), np.uint8)
        self._tables = _table(spec, 0), _table(spec, 1)

    def rows(self, maps: Sequence[NDArray[Any]], *, min_score: float = 0.0, max_people: int = GRAPH_PEOPLE) -> Floats:
        """Return the people as rows, float32 (1, P, 56), best center first.

        A row is 17 x (y, x, score), ymin, xmin, ymax, xmax, score. With the defaults these are the rows of the
        published graph. No person scores higher than their center, so centers below `min_score` get no row; the
        graph's six still take part in the scores of the others' keypoints.

        Args:
            maps: each (1, h, w, C), in the order of `HEADS`.
            min_score: people below it get no row.
            max_people: greatest P; centers beyond the graph's six count only from `min_score` on.
        """
        # Centers are sorted by score, so the wanted ones are the first.
        people = self._people([each[0] for each in maps], min_score, max_people)
        wanted = int((people.scores >= min_score).sum())
        cells = self._search(maps[1][0], people, wanted)
        scores = self._keypoint_scores(maps[1][0], cells, people)
        return self._rows(cells + self._offsets(maps[3][0], cells), scores, people)[None]

    def _people(self, maps: Sequence[NDArray[Any]], min_score: float, max_people: int) -> _People:
        ys, xs, scores = self._peaks(maps[0], min_score, max_people)
        # Regression, box scale and box offset are trained at the center's cell only, so they are read nowhere else.
        cells = np.stack([ys, xs], axis=1).astype(np.float32)  # (P, [y, x])
        seeds = cells[:, None] + self._read(2, maps[2][ys, xs]).reshape(-1, KEYPOINTS, 2)
        if self.spec.has_boxes:
            middle = cells + self._read(5, maps[5][ys, xs])
            half = np.maximum(self._read(4, maps[4][ys, xs]), 0) / 2
        else:
            # The box of the seeds, enlarged: a keypoint may lie beyond its seed.
            low, high = seeds.min(axis=1), seeds.max(axis=1)
            middle, half = (low + high) / 2, (high - low) / 2
            half = half + np.maximum(SEED_MARGIN * 2 * half, MIN_SEED_MARGIN)
        corners = np.concatenate([middle - half, middle + half], axis=1)
        return _People(scores, seeds, np.clip(corners, 0, self._limits()))

    def _limits(self) -> Floats:
        width, height = self.spec.size
        return np.array([height, width, height, width], np.float32)

    def _peaks(
        self, center: NDArray[Any], min_score: float, max_people: int
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
        """Return y, x and score, each (P,), of the best centers, best first."""
        # A cell is a peak if dilation (the maximum over 5x5 cells) leaves it as it is: NMS as CenterNet does it.
        self._to_scores(0, center[..., 0], self._centers)
        cv2.dilate(self._centers, self._kernel, dst=self._highest)
        np.subtract(self._highest, self._centers, out=self._highest)
        peaks = np.flatnonzero(self._highest < self.spec.constants.peak_tolerance)
        scores = self._centers.ravel()[peaks]
        # Empty regions are full of peaks. Take twice as many as are wanted, because plateaus are thinned below.
        order = np.argsort(-scores, kind="stable")[: 2 * max_people]
        ys, xs = np.divmod(peaks[order], self.spec.size[0])
        scores = scores[order]
        if self._tables[0] is not None:
            keep = _first_of_each_plateau(ys, xs, scores)
            ys, xs, scores = ys[keep], xs[keep], scores[keep]
        count = min(max(int((scores >= min_score).sum()), GRAPH_PEOPLE), max_people)
        return ys[:count], xs[:count], scores[:count]

    def _search(self, heatmap: NDArray[Any], people: _People, wanted: int) -> Floats:
        """Return the cells of the best keypoints of the first people, (W, 17, [y, x])."""
        cells = np.zeros((wanted, KEYPOINTS, 2), np.float32)
        # Whole numbers v with low <= v < high are ceil(low) <= v < ceil(high).
        for index, (top, left, bottom, right) in enumerate(np.ceil(people.boxes[:wanted]).astype(int).tolist()):
            if top >= bottom or left >= right:
                continue  # an empty box: the graph takes the map's first cell
            # Heat is weighted by the distance from the seed, so that another person's keypoint in the box loses.
            crop = heatmap[top:bottom, left:right]  # (h, w, 17)
            heat = self._heat[: crop.size].reshape(crop.shape)
            self._to_scores(1, crop, heat)
            np.multiply(heat, self._weights(top, bottom, people.seeds[index, :, 0])[:, None], out=heat)
            np.multiply(heat, self._weights(left, right, people.seeds[index, :, 1])[None], out=heat)
            best = heat.reshape(-1, KEYPOINTS).argmax(axis=0)
            cells[index, :, 0], cells[index, :, 1] = np.divmod(best, right - left)
            cells[index] += top, left
        return cells

    def _weights(self, first: int, end: int, seeds: Floats) -> Floats:
        """Return the Gaussian along one axis, (end - first, 17).

        It is separable: the product of both axes' is that of the distance.
        """
        away = self._grid[first:end, None] - seeds
        return np.asarray(np.exp(np.square(away, out=away) / -self._spread))

    def _keypoint_scores(self, heatmap: NDArray[Any], cells: Floats, people: _People) -> Floats:
        """Return the scores (W, 17): heat at the cell times its greatest weight.

        The graph takes the greatest weight over all people, so a keypoint that two people share keeps its score.
        """
        # Gaussians of the distances from the seeds, 0 outside of the person's box.
        away = cells[:, None] - people.seeds  # (W, P, 17, [y, x])
        weights = np.exp(np.einsum("wpkc,wpkc->wpk", away, away) / -self._spread)
        low, high = people.boxes[:, None, :2], people.boxes[:, None, 2:]
        inside = ((cells[:, None] >= low) & (cells[:, None] < high)).all(axis=-1)  # (W, P, 17)
        return np.asarray((weights * inside).max(axis=1, initial=0) * self._heat_at(heatmap, cells))

    def _heat_at(self, heatmap: NDArray[Any], cells: Floats) -> Floats:
        # Only these few cells are dequantized, not the map.
        ys, xs = cells.astype(np.intp).transpose(2, 0, 1)  # (W, 17) each
        values = self._read(1, heatmap[ys, xs, np.arange(KEYPOINTS)])
        return _sigmoid(values, values) if self.spec.logits else values

    def _offsets(self, offset: NDArray[Any], cells: Floats) -> Floats:
        """Return the sub-cell offsets (W, 17, [dy, dx]) at the keypoints' cells."""
        ys, xs = cells.astype(np.intp).transpose(2, 0, 1)
        pairs = offset.reshape(*offset.shape[:2], KEYPOINTS, 2)
        values = pairs[ys, xs, np.arange(KEYPOINTS)]  # (W, 17, [dy, dx])
        return self._read(3, values.reshape(-1, 2 * KEYPOINTS)).reshape(values.shape)

    def _read(self, head: int, values: NDArray[Any]) -> Floats:
        """Dequantize values (..., C) of a map."""
        spec = self.spec.maps[head]
        return np.asarray(values.astype(np.float32) * spec.scale + spec.shift)

    def _to_scores(self, head: int, values: NDArray[Any], out: Floats) -> None:
        """Write the scores 0..1 of a part of center or heatmap, (h, w) or (h, w, C), into `out`."""
        # A quantized value has 256 codes, so a table replaces the sigmoid, which is slow over a whole map.
        table = self._tables[head]
        if table is not None:
            cv2.LUT(values.view(np.uint8), table, dst=out)
            return
        np.multiply(values, self.spec.maps[head].scale, out=out)
        np.add(out, self.spec.maps[head].shift, out=out)
        if self.spec.logits:
            _sigmoid(out, out)

    def _rows(self, keypoints: Floats, scores: Floats, people: _People) -> Floats:
        wanted, limits = len(keypoints), self._limits()
        trio = np.empty((wanted, KEYPOINTS, 3), np.float32)  # [y, x, score]
        np.divide(keypoints, limits[:2], out=trio[..., :2])
        trio[..., 2] = scores
        boxes = people.boxes[:wanted] if self.spec.has_boxes else _bounds(keypoints, scores)
        # A person scores as their center times the mean of the keypoints that count, as in the published graph.
        counts = scores > self.spec.constants.min_keypoint_score
        mean = (scores * counts).sum(axis=1) / np.maximum(counts.sum(axis=1), 1)
        parts = (
            trio.reshape(wanted, 3 * KEYPOINTS),
            np.clip(boxes / limits, 0, 1),
            people.scores[:wanted, None] * mean[:, None],
        )
        return np.concatenate(parts, axis=1, dtype=np.float32)


def _table(spec: HeadsSpec, head: int) -> Floats | None:
    """Return the scores of all codes of a quantized map; None for float maps.

    float32 (1, 256, C), indexed by the code's byte, as `cv2.LUT` takes it.
    """
    quantization = spec.maps[head]
    if quantization.dtype == "float32":
        return None
    codes = np.arange(256, dtype=np.uint8).view(quantization.dtype).astype(np.float32)
    values = codes[:, None] * quantization.scale + quantization.shift  # (256, C)
    scores = _sigmoid(values, values) if spec.logits else values
    return np.ascontiguousarray(scores[None], np.float32)


def _sigmoid(values: Floats, out: Floats) -> Floats:
    """Return 1 / (1 + exp(-values)), written into `out`."""
    np.negative(values, out=out)
    np.minimum(out, 80, out=out)  # exp(80) still fits into a float32
    np.exp(out, out=out)
    np.add(out, 1, out=out)
    return np.reciprocal(out, out=out)


def _first_of_each_plateau(ys: NDArray[np.intp], xs: NDArray[np.intp], scores: Floats) -> NDArray[np.bool_]:
    """Return a mask (P,) that keeps the first peak of each plateau.

    Neighbours of the same code are one center, not several.

    Only quantized maps have such plateaus; the published graph, in float, has none.
    """
    apart = np.maximum(np.abs(ys[:, None] - ys), np.abs(xs[:, None] - xs))
    same = (apart <= PEAK_SIDE // 2) & (scores[:, None] == scores)
    return np.asarray(~np.tril(same, -1).any(axis=1))


def _bounds(keypoints: Floats, scores: Floats) -> Floats:
    """Return the boxes (P, [y0, x0, y1, x1]) of the trusted keypoints (P, 17, [y, x]).

    If none of a person's keypoints is trusted, all of them make the box.
    """
    trusted = scores >= MIN_BOX_KEYPOINT_SCORE
    trusted |= ~trusted.any(axis=1, keepdims=True)
    low = np.where(trusted[..., None], keypoints, np.inf).min(axis=1)
    high = np.where(trusted[..., None], keypoints, -np.inf).max(axis=1)
    return np.concatenate([low, high], axis=1, dtype=np.float32)
