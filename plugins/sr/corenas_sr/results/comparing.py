"""Pictures in the report of a run: two at a time below a slider, and all enlarged at one place.

What is shown are the parts of images that a run's hand-over wrote below `CROPS`. Nothing here
computes anything: the page may be made on a machine that has neither torch nor the images.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from corenas.report.sections import Section, render

CROPS = "crops"
"""Folder of a run that holds a folder for each comparison."""

DESCRIPTION = "crops.json"
"""File in such a folder that says what its pictures are."""

MOST_BYTES = 1_000_000
"""How many bytes all pictures of a page may have; a third more as they stand in it."""

_QUALITY = 88  # of WebP, where PNG is too large
_MOST_PICTURES = 8


@frozen
class _Picture:
    label: str
    note: str
    content: bytes
    kind: str = "png"

    @property
    def source(self) -> str:
        return f"data:image/{self.kind};base64,{base64.b64encode(self.content).decode()}"

    def compressed(self) -> _Picture:
        from PIL import Image

        smaller = io.BytesIO()
        with Image.open(io.BytesIO(self.content)) as image:
            image.convert("RGB").save(smaller, "WEBP", quality=_QUALITY, method=4)
        return evolve(self, content=smaller.getvalue(), kind="webp")


@frozen
class _Comparison:
    """Pictures of one part of an image.

    ``part`` is left, top, width and height in the image; ``zoomed`` left, top and side in the part.
    """

    name: str
    image: str
    scale: int
    size: tuple[int, int]
    part: tuple[int, int, int, int]
    zoomed: tuple[int, int, int]
    pictures: Sequence[_Picture]
    missing: Sequence[str]

    @property
    def weight(self) -> int:
        return sum(len(picture.content) for picture in self.pictures)


def compare_pictures(folder: Path) -> list[Section]:
    """Return the section with all comparisons of a run; nothing where the run left none."""
    found = [_read(path) for path in sorted((folder / CROPS).glob(f"*/{DESCRIPTION}"))]
    shown = [each for each in found if each is not None]
    broken = len(found) - len(shown)
    if not found:
        return []
    lossy = sum(each.weight for each in shown) > MOST_BYTES
    if lossy:
        shown = [evolve(c, pictures=[p.compressed() for p in c.pictures]) for c in shown]
    fitting = list(_take_fitting(shown))
    values = {
        "comparisons": fitting,
        "left_out": [each.name for each in shown[len(fitting) :]],
        "broken": broken,
        "lossy": lossy,
    }
    text = {
        end: files(__package__).joinpath(f"comparing.{end}").read_text("utf-8") for end in _ENDS
    }
    body = render(text["html"], values)
    return [Section("pictures", "See it", body, style=text["css"], script=text["js"])]


_ENDS = ("html", "css", "js")


def _take_fitting(comparisons: Sequence[_Comparison]) -> Iterator[_Comparison]:
    left = MOST_BYTES
    for each in comparisons:
        left -= each.weight
        if left < 0:
            return
        yield each


def _read(path: Path) -> _Comparison | None:
    """Read a comparison as far as its files are there; None where its description is damaged."""
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        entries = [(str(e["label"]), str(e["note"]), str(e["file"])) for e in value["pictures"]]
        left, top, width, height = map(int, value["part"])
        x, y, side = map(int, value["zoomed"])
        across, down = map(int, value["size"])
        scale = int(value["scale"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    pictures, missing = [], []
    for label, note, file in entries[:_MOST_PICTURES]:
        content = _read_picture(path.parent / Path(file).name)
        if content is None:
            missing.append(label)
        else:
            pictures.append(_Picture(label, note, content))
    return _Comparison(
        path.parent.name,
        str(value.get("image", "")),
        scale,
        (across, down),
        (left, top, width, height),
        (x, y, side),
        pictures,
        missing,
    )


def _read_picture(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if content.startswith(b"\x89PNG") else None
