"""Made-up maps of MoveNet's heads, and the published decode of them over whole maps, slow and plain."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
WIDTH, HEIGHT = 40, 24  # lopsided: a swapped axis shows
RNG_SEED = 7
PEOPLE = [(6, 8), (15, 30), (20, 4)]


def head_maps(*people: tuple[int, int], logit: float = 2.0, seed: int = RNG_SEED) -> list[Floats]:
    """Maps with noise everywhere and one person at each (y, x) cell, keypoints spread lopsidedly around it."""
    rng = np.random.default_rng(seed)
    center = rng.uniform(-9, -6, (HEIGHT, WIDTH, 1))
    heatmap = rng.uniform(-8, -2, (HEIGHT, WIDTH, 17))
    regression = rng.uniform(-3, 3, (HEIGHT, WIDTH, 34))
    offset = rng.uniform(-0.5, 0.5, (HEIGHT, WIDTH, 34))
    box_scale = rng.uniform(4, 8, (HEIGHT, WIDTH, 2))
    box_offset = rng.uniform(-0.5, 0.5, (HEIGHT, WIDTH, 2))
    for number, (y, x) in enumerate(people):
        center[y, x] = logit - 0.5 * number
        box_scale[y, x] = 12 + number, 7 + number
        for keypoint in range(17):
            away = keypoint // 3 - 3, keypoint % 4 - 1
            regression[y, x, 2 * keypoint : 2 * keypoint + 2] = away[0] + 0.3, away[1] - 0.4
            inside = np.clip([y + away[0], x + away[1]], 0, [HEIGHT - 1, WIDTH - 1])
            heatmap[inside[0], inside[1], keypoint] = 3 - 0.2 * keypoint
    return [each.astype(np.float32)[None] for each in (center, heatmap, regression, offset, box_scale, box_offset)]


def whole_graph(maps: Sequence[Floats], people: int = 6) -> Floats:
    """The published decode, over whole maps and without a thought for speed: (people, 56)."""
    doubles: list[NDArray[np.float64]] = [each[0].astype(np.float64) for each in maps]
    center, heat = 1 / (1 + np.exp(-doubles[0])), 1 / (1 + np.exp(-doubles[1]))
    regression, offset, box_scale, box_offset = doubles[2:]
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    padded = np.pad(center[..., 0], 2, constant_values=-1)
    highest = np.max([padded[i : i + HEIGHT, j : j + WIDTH] for i in range(5) for j in range(5)], axis=0)
    peaks = np.where(np.abs(highest - center[..., 0]) < 1e-6, center[..., 0], 0).ravel()
    rows, weighted = [], []
    for cell in np.argsort(-peaks, kind="stable")[:people]:
        y, x = divmod(int(cell), WIDTH)
        half = np.maximum(box_scale[y, x], 0) / 2
        middle = np.array([y, x]) + box_offset[y, x]
        box = np.clip(np.concatenate([middle - half, middle + half]), 0, [HEIGHT, WIDTH, HEIGHT, WIDTH])
        seeds = np.array([y, x]) + regression[y, x].reshape(17, 2)
        inside = (ys >= box[0]) & (xs >= box[1]) & (ys < box[2]) & (xs < box[3])
        squared = (ys[..., None] - seeds[:, 0]) ** 2 + (xs[..., None] - seeds[:, 1]) ** 2
        weighted.append(heat * np.exp(-squared / (0.3 * min(HEIGHT, WIDTH))) * inside[..., None])
        rows.append((box, peaks[cell], weighted[-1].reshape(-1, 17).argmax(0)))
    best = np.max(weighted, axis=0)
    result = []
    for box, score, cells in rows:
        y, x = np.divmod(cells, WIDTH)
        keypoints = np.stack([y, x], -1) + offset.reshape(HEIGHT, WIDTH, 17, 2)[y, x, np.arange(17)]
        scores = best[y, x, np.arange(17)]
        counts = scores > 0.127
        person = score * scores[counts].sum() / max(counts.sum(), 1)
        trio = np.concatenate([keypoints / [HEIGHT, WIDTH], scores[:, None]], 1)
        result.append(np.concatenate([trio.ravel(), box / [HEIGHT, WIDTH, HEIGHT, WIDTH], [person]]))
    return np.array(result, np.float32)
