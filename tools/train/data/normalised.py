"""Two shorter formats of annotations, relative to the picture, as COCO's.

Normalised labels by picture, `{"<file name without suffix>": {"width": 640, "height": 480, "people": [{"box": [cx, cy,
w, h], "keypoints": [[x, y, v], ... 17]}]}}`; the people may be none. Normalised boxes by file name,
`{"<file name>": [[x0, y0, x1, y1, score], ...]}`.

The picture's file is looked for in the folder and those below it. Since shares need no size in pixels, every picture
is given the size 1 x 1.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge.camera.files import PICTURE_SUFFIXES

__all__ = ["as_coco", "is_boxes", "is_labels", "pictures_in"]


def pictures_in(folder: Path) -> list[Path]:
    """Return the picture files below a folder, by path.

    None where it cannot be read.
    """
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())


def is_labels(found: Any) -> bool:
    """Return whether this is normalised labels by picture."""
    return _all_values(found, lambda value: isinstance(value, dict) and isinstance(value.get("people"), list))


def is_boxes(found: Any) -> bool:
    """Return whether this is normalised boxes by file name."""
    return _all_values(found, lambda value: isinstance(value, list) and all(isinstance(box, list) for box in value))


def as_coco(found: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Convert either format to COCO's. Raises ValueError with the picture's name."""
    pictures = pictures_in(folder)
    files = {path.stem: path for path in pictures} | {path.name: path for path in pictures}
    images, annotations = [], []
    for number, (name, value) in enumerate(found.items()):
        path = files.get(name) or files.get(Path(name).stem)
        file_name = name if path is None else str(path.relative_to(folder))
        images.append({"id": number, "file_name": file_name, "width": 1, "height": 1})
        try:
            people = _labelled(value["people"]) if isinstance(value, dict) else _boxed(value)
            annotations += [{"image_id": number, **person} for person in people]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"picture {name}: {type(error).__name__}: {error}") from error
    return {"images": images, "annotations": annotations}


def _all_values(found: Any, is_right: Any) -> bool:
    if not isinstance(found, dict) or not found or "images" in found:  # that is COCO's, of which something is missing
        return False
    return all(is_right(value) for value in found.values())


def _labelled(people: list[Any]) -> Iterator[dict[str, Any]]:
    for person in people:
        x, y, width, height = map(float, person["box"])
        keypoints = [float(value) for keypoint in person["keypoints"] for value in keypoint]
        yield {"bbox": [x - width / 2, y - height / 2, width, height], "keypoints": keypoints}


def _boxed(boxes: list[Any]) -> Iterator[dict[str, Any]]:
    for box in boxes:
        x0, y0, x1, y1, score = map(float, box)
        yield {"bbox": [x0, y0, x1 - x0, y1 - y0], "score": score}
