"""Writes small videos and pictures whose frames show their number, with red, green and blue in fixed places."""

import base64
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frame import Image

STEP = 12  # grey levels between two numbers; they begin again at 20


def numbered_image(index: int, width: int = 96, height: int = 64) -> Image:
    """An RGB image: red top left, green top right, and below the number of the frame as a grey level."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (230, 0, 0)
    image[: height // 2, width // 2 :] = (0, 220, 0)
    image[height // 2 :] = index % 20 * STEP
    return image


def number_of(image: NDArray[np.uint8]) -> int:
    """Read the number, modulo 20, back from an upright image, lossy compression or not."""
    height, width = image.shape[:2]
    return round(float(image[height * 3 // 4, width // 4 : width * 3 // 4].mean()) / STEP)


def write_video(path: Path, frames: int = 10, *, fps: float = 25.0, fourcc: str = "mp4v") -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), fps, (96, 64))
    for index in range(frames):
        writer.write(cv2.cvtColor(numbered_image(index), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def write_pictures(folder: Path, count: int = 10, *, suffix: str = ".png") -> Path:
    folder.mkdir(exist_ok=True)
    for index in range(count):
        picture = cv2.cvtColor(numbered_image(index), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"{index:03}{suffix}"), picture)
    return folder


_MPEG2 = (
    "AAABswYAQBL//+AYAAABtRSCAAEAAQAAAbgACABAAAABAAAP//gAAAG1j//zgAAAAAEBy3w+9CTTA+89e1AdpGbD12W7Lu8tHLwzH9iPb2Ya"
    "GsrBdivfXgL7INT0+6AGJMQQkBiMA9fj+q3nyYaHXnr0JMNDrz190k+4iEA4weR7fqm8+TDQ69BefJhodfxik68shAOcHka3nrjhoYagKuxf"
    "P77cNRk5diAnJqSYkMSgB6oznW+9E0wPvQXz4BiUMb7KIt9Bvs9mVbJLwbxuO7EaAAABAst8PvuYDssaTfgJbYLW4Cy+GX6f4If/ZNBH/95H"
    "91JOvDIQDnB5GtVfP76BfP765Jl6YBeCIAIAjIlvPkw0OvPXoSYaHXnr69J96ZCAcYPI9v1TefJhodegvPkw0Ov4xSdeWQgHODyNbz18/voF"
    "85wYBYpLJG8lOvm/DQg7KcxV9uG9msgEIZyyUtmciW6QaUSyYGis4UsDl+jr8ikw0Ov11fTpPvqyEA4weR4AAAEDy3w+/T/BD/7JoI//vI/v"
    "zBffQKoGENJwTt1BRH10pOvEIQDnB5Gt3b5/fQL5/fWpMvSAMQRABAEZEt58mGh1569CTDQ689fXpPvSIQDjB5Ht+qbz5MNDr0F58mGh1/Gq"
    "TryyYA5weRreevBZIFiim4QSglTBH3HutlKve3z++1Ddu0gDUN5RKZljSJbz5MNDr9dX5nSklEwN6zmUP6tfpi+nSffUkIBxg8jwAAABBMtz"
    "y76CXfmoYgdgq9IGlFKCEBWvkig3Dr7AZwzO7tb9Ba8/rhhpMZewdcpsO11BoDvI7dHJ18fiGgpCEkl3DmY+3prZfLwxCO77BVxCUUBJAVr9"
    "GDQHaOB73xZQFcnbjPb6mVfPir7+N4/hd5sMLSsJ4X75csA0SAS4n3WBnBvbZnt8T96H3rBqR/C7kBpYxWPI19NwGHKz9OJ99eQyYkahGX0u"
    "HMx9sljvswaWnMyeF+7YGSwJpC/eaGKvpywGCUf4boAAAAEAAFf/+4AAAAG1gR/zgAAAAAEBypYECNUUAfwNoAMksAG3qwGj/8wPgAAAAQLK"
    "rBmABPaZnmLWgPwDsgM1VARAPSLAAAABA8qLgA9cPP8AD2eOsAHtwqwAe1WADkWBB2qwGn//wAAAAQTLpdVUWAfywD8cT54XR/qWoGf/+mwA"
    "AAEAAJf/+4AAAAG1gR/zgAAAAAEBymyNgAAAAQLKbI2AAAABA8ps1YB5TYAAAAEEy4Uf+cgPl2yvUNd3UmuFLxvDqNqGqqqTwA=="
)
"""Three interlaced pictures of 96x64, a test card, as MPEG-2 video; base64."""
_H264 = (
    "AAAAAWdkABWscgRGTYCIAAADABAAAAMBkPihTCMAAAABaPhCglLIsAAAAQYF//+u3EXpvebZSLeWLNgg2SPu73gyNjQgLSBjb3JlIDE2NCBy"
    "MzA5NSBiYWVlNDAwIC0gSC4yNjQvTVBFRy00IEFWQyBjb2RlYyAtIENvcHlsZWZ0IDIwMDMtMjAyMiAtIGh0dHA6Ly93d3cudmlkZW9sYW4u"
    "b3JnL3gyNjQuaHRtbCAtIG9wdGlvbnM6IGNhYmFjPTEgcmVmPTE2IGRlYmxvY2s9MTowOjAgYW5hbHlzZT0weDM6MHgxMzMgbWU9dW1oIHN1"
    "Ym1lPTEwIHBzeT0xIHBzeV9yZD0xLjAwOjAuMDAgbWl4ZWRfcmVmPTEgbWVfcmFuZ2U9MjQgY2hyb21hX21lPTEgdHJlbGxpcz0yIDh4OGRj"
    "dD0xIGNxbT0wIGRlYWR6b25lPTIxLDExIGZhc3RfcHNraXA9MSBjaHJvbWFfcXBfb2Zmc2V0PS0yIHRocmVhZHM9MiBsb29rYWhlYWRfdGhy"
    "ZWFkcz0xIHNsaWNlZF90aHJlYWRzPTAgbnI9MCBkZWNpbWF0ZT0xIGludGVybGFjZWQ9dGZmIGJsdXJheV9jb21wYXQ9MCBjb25zdHJhaW5l"
    "ZF9pbnRyYT0wIGJmcmFtZXM9OCBiX3B5cmFtaWQ9MiBiX2FkYXB0PTIgYl9iaWFzPTAgZGlyZWN0PTMgd2VpZ2h0Yj0xIG9wZW5fZ29wPTAg"
    "d2VpZ2h0cD0wIGtleWludD0yNTAga2V5aW50X21pbj0xMiBzY2VuZWN1dD00MCBpbnRyYV9yZWZyZXNoPTAgcmNfbG9va2FoZWFkPTYwIHJj"
    "PWNyZiBtYnRyZWU9MSBjcmY9MzUuMCBxY29tcD0wLjYwIHFwbWluPTAgcXBtYXg9NjkgcXBzdGVwPTQgaXBfcmF0aW89MS40MCBhcT0xOjEu"
    "MDAAgAAAAQYBATKAAAABZYiAgECvy0fCBdNv/JKEaHzAWxePy4gWPRMa34rC+XjP85PsNGZ6KOpc26kexrgjar9ozybcsONpRRahNCEUasnX"
    "dkouaHrr4GnrOrKm+xNTVzMB/1Kr/gYz+9AjX3aPvtCujW51FuJypoEwces4rBvQV8iowAvOaHwlLzQVlSJ35DxYdlGBcTfUbOE245OvF9zv"
    "6BghQLufPrRSGcpisrH/0cyKzTJ7KKGRIR34HwftQzzXn+KL+n0pOpYUM/sj8K3zQY0Su210Rvlr/Cn5sxCwrM88z/+4v7OstHtYiaTbYu1Y"
    "0FR/IYSNs9mN4MWcr58DTHXn54G09Rh3+G3+xxN7jgcMgZfVUZHXwdH/IxKZ0xH5rVBE7AAs8YApR7/2+sEkIG+XgfttXWZY3bDOG4uuXpaJ"
    "rTgX224hFItsY6VEU2k+IIMUeV5EBBCcvl73xfO2t1UaLiMO8ne22INw8WxqtNeZ6595HbWAmWNHlbWbySOkv6z33ZUm2gyl8X16uFYC1V4H"
    "MAWqL5/1DAOYqVHUoeshB+vixP8WT+S8vK7In6k9Wr1wPZeJcjrplOTpsV92aPlTjoBT2stUvJ+5XfHa37xa7KnKMG/suC0H5NWvTeTM2QAA"
    "AAEGAQEygAAAAUGaCCLIQ/9UK81ZY1jVkR8BpD70xRR4c1ReAAAAAQYBATKAAAABAZ4QEnIQ/53D3w=="
)
"""The same as H.264."""
INTERLACED = {".m2v": base64.b64decode(_MPEG2), ".h264": base64.b64decode(_H264)}
"""Three pictures each; OpenCV from 4.13 on shows black or old memory for them."""
