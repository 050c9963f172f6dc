"""Which files of a folder are images, and which low- and high-resolution files belong together.

A folder of high-resolution images is enough. Beside it, the folders of the published data sets are
known by their names: see `LAYOUTS`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from attrs import frozen

from corenas.errors import DataError
from corenas_sr.data.images import SUFFIXES

Split = Literal["train", "validation"]
_WORDS: dict[Split, str] = {"train": "train", "validation": "valid"}


@frozen
class Layout:
    """How a published data set names its folders and files.

    ``*`` stands for the same words in ``hr`` and ``lr``; ``partner`` is the low-resolution file's
    name without its ending.
    """

    name: str
    hr: str
    lr: str
    partner: str = "{stem}x{scale}"

    def fits(self, hr_folder: Path) -> bool:
        """Whether a folder is named like one of high-resolution images."""
        return fnmatchcase(hr_folder.name, self.hr)

    def lr_folder(self, hr_folder: Path, scale: int) -> Path:
        """Return where the low-resolution images of ``hr_folder`` would be."""
        words = hr_folder.name.removesuffix(self.hr.removeprefix("*"))
        return hr_folder.parent / self.lr.format(scale=scale).replace("*", words)


_BENCHMARK = Layout("EDSR benchmark", hr="HR", lr="LR_bicubic/X{scale}")
_DIV2K = Layout("DIV2K or Flickr2K", hr="*_HR", lr="*_LR_bicubic/X{scale}")
LAYOUTS = (
    _BENCHMARK,
    Layout("BasicSR", hr="GTmod12", lr="LRbicx{scale}", partner="{stem}"),
    _DIV2K,
    Layout("NTIRE", hr="*_HR", lr="*_LR"),
)
_NAMED = 5
PARTIAL = ".corenas-partial"
"""Stands in a folder of low-resolution images while it is prepared."""

PLAIN = "high-resolution images"
_PREPARED = Layout("prepared images", hr="*", lr="*_LR_bicubic/X{scale}")
"""Beside a folder of any name; last, because it fits every folder."""


@frozen
class PairFiles:
    """An image's name and files; ``lr`` is None where it is to be made from ``hr``."""

    name: str
    hr: Path
    lr: Path | None


@frozen
class Found:
    """The pairs of a folder, the name of its layout, and the files that have no partner."""

    layout: str
    pairs: tuple[PairFiles, ...]
    problems: tuple[str, ...] = ()


def find_pairs(source: Path, *, scale: int, split: Split) -> Found:
    """Find the images of a folder: its own, or those of the data set that it holds.

    Where a data set has no low-resolution folder for the scale, that side is left to be made.

    Raises:
        DataError: There is no such folder, it cannot be read, it holds no images in a layout that
            is understood, or several data sets.
    """
    folder = source if image_files(source) else _hr_folder(source, split)
    hr_files = image_files(folder)
    if not hr_files:
        raise DataError(_no_images(folder))
    for layout in (*LAYOUTS, _PREPARED):
        lr_folder = layout.lr_folder(folder, scale)
        if layout.fits(folder) and lr_folder.is_dir() and not is_partial(lr_folder):
            return _matched(layout, hr_files, image_files(lr_folder), scale)
    return Found(PLAIN, tuple(PairFiles(f.stem, f, None) for f in hr_files), _repeated(hr_files))


def find_hr_folders(source: Path) -> list[Path]:
    """Find all folders of high-resolution images: the folder itself, or those of its data sets.

    Data sets may stand in the folder, or each in a folder of its own there, as in
    ``benchmark/Set5/HR``.

    Raises:
        DataError: There are none.
    """
    if image_files(source):
        return [source]
    found = _data_sets(source, depth=2)
    if not found:
        raise DataError(_no_images(source, _folders(source)))
    return found


def _data_sets(folder: Path, *, depth: int) -> list[Path]:
    folders = _folders(folder)
    known = _known(folders)
    if known or not depth:
        return known
    return [found for each in folders for found in _data_sets(each, depth=depth - 1)]


def prepared_lr(hr_file: Path, scale: int) -> Path:
    """Return the name, in EDSR's layout, of the low-resolution image that belongs to a file."""
    folder = hr_file.parent
    layout = next(each for each in (_BENCHMARK, _DIV2K, _PREPARED) if each.fits(folder))
    name = layout.partner.format(stem=hr_file.stem, scale=scale)
    return layout.lr_folder(folder, scale) / f"{name}.png"


def image_files(folder: Path) -> list[Path]:
    """Return the files of a folder whose names end like an image's, sorted; no hidden ones."""
    return [path for path in _entries(folder) if path.suffix.lower() in SUFFIXES and path.is_file()]


def left_out(folder: Path) -> list[Path]:
    """Return the files of a folder that `image_files` leaves out, and links that lead nowhere.

    Hidden files are not meant.
    """
    taken = set(image_files(folder))
    return [path for path in _entries(folder) if path not in taken and not path.is_dir()]


def describe_left_out(folders: Iterable[Path]) -> list[str]:
    """Return a line for each folder with files that are not taken: how many, and the first."""
    lines = []
    for folder in dict.fromkeys(folders):
        files = left_out(folder)
        if files:
            names = [f"{p.name} (leads nowhere)" if not p.exists() else p.name for p in files]
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            noun = "file" if len(names) == 1 else "files"
            shown = ", ".join(names[:_NAMED])
            lines.append(f"{folder}: {len(names)} {noun} left out, no images: {shown}{more}")
    return lines


def is_partial(lr_folder: Path) -> bool:
    """Whether a preparation of low-resolution images has begun in a folder and did not end."""
    return (lr_folder / PARTIAL).exists()


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror}") from error


def _folders(source: Path) -> list[Path]:
    return [path for path in _entries(source) if path.is_dir()]


def _known(folders: Iterable[Path]) -> list[Path]:
    """Return those that are named like a data set's folder of high-resolution images."""
    return [folder for folder in folders if any(layout.fits(folder) for layout in LAYOUTS)]


def _hr_folder(source: Path, split: Split) -> Path:
    """Return the folder of high-resolution images inside the root of a data set."""
    folders = _folders(source)
    known = _known(folders)
    if not known:
        raise DataError(_no_images(source, folders))
    other = {_WORDS[name] for name in _WORDS if name != split}
    allowed = [f for f in known if not any(word in f.name.lower() for word in other)]
    named = [f for f in allowed if _WORDS[split] in f.name.lower()]
    for choice in (named, allowed):
        if len(choice) == 1:
            return choice[0]
    names = ", ".join(folder.name for folder in known)
    if allowed:
        raise DataError(f"{source}: several data sets ({names}); name the folder of one")
    raise DataError(f"{source}: no {split} images, only {names}; to use those, name that folder")


def _no_images(folder: Path, folders: Sequence[Path] = ()) -> str:
    if not folders:
        return f"{folder}: no images; their names end in {', '.join(sorted(SUFFIXES))}"
    names = ", ".join(sorted(path.name for path in folders)[:10])
    pairs = "; ".join(f"{layout.hr} and {layout.lr} ({layout.name})" for layout in LAYOUTS)
    return (
        f"{folder}: no images here, only the folders {names}; understood are a folder of"
        f" high-resolution images, or one that holds such folders: {pairs.format(scale='4')}"
    )


def _matched(layout: Layout, hr_files: list[Path], lr_files: list[Path], scale: int) -> Found:
    """Pair the files by name; an LR folder may hold other scales' files beside those wanted."""
    wanted = {layout.partner.format(stem=f.stem, scale=scale): f for f in hr_files}
    present = {file.stem: file for file in lr_files}
    pairs = [PairFiles(f.stem, f, present[n]) for n, f in wanted.items() if n in present]
    ending = layout.partner.format(stem="", scale=scale)
    missing = [f"{f}: no LR partner {n!r}" for n, f in wanted.items() if n not in present]
    orphans = [
        f"{file}: no HR partner"
        for file in lr_files
        if file.stem.endswith(ending) and file.stem not in wanted
    ]
    return Found(layout.name, tuple(pairs), (*_repeated(hr_files), *missing, *orphans))


def _repeated(files: Iterable[Path]) -> tuple[str, ...]:
    """Report names that differ in their ending only: results are listed by name."""
    by_name: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        by_name[file.stem].append(file)
    return tuple(
        f"{group[0]}: same name as {group[1].name}" for group in by_name.values() if len(group) > 1
    )
