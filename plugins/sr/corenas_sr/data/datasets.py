"""Pairs of low- and high-resolution images: loaded once a process, checked before a run."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from functools import cache, partial
from pathlib import Path

import torch
from attrs import evolve, field, frozen
from torch import Tensor

from corenas.errors import DataError
from corenas_sr.config import EMBEDDED
from corenas_sr.data.folders import PairFiles, Split, find_pairs
from corenas_sr.data.images import LARGEST, crop_to_multiple, read_image, read_size, resize
from corenas_sr.data.packing import Block
from corenas_sr.data.photographs import photographs
from corenas_sr.data.store import Entry, Pair, PairSource, Store, open_store

_SHOWN = 10


@frozen(eq=False)
class ImagePair:
    """An image twice: ``lr`` is uint8 of shape (3, h, w), ``hr`` (3, h * scale, w * scale)."""

    name: str
    lr: Tensor
    hr: Tensor
    files: tuple[Path, ...] = ()
    """The file of ``hr``, and that of ``lr`` where it was not made from it."""


@frozen
class DataReport:
    """What `check_pairs` found: sizes are (width, height) of HR images after cropping.

    ``digests`` is a hash of each HR image's pixels, by name; ``content`` is one of all names and
    pixels, low-resolution ones too, wherever the files lie.
    """

    source: str
    layout: str
    smallest: tuple[int, int]
    largest: tuple[int, int]
    megapixels: float
    digests: Mapping[str, str] = field(repr=False)
    content: str = field(default="", repr=False)

    @property
    def images(self) -> int:
        """The number of pairs."""
        return len(self.digests)


def load_pairs(
    source: str, *, scale: int, split: Split, largest: int = LARGEST
) -> tuple[ImagePair, ...]:
    """Open all image pairs, or return those that this process has opened already.

    Where only HR images are given, they are cropped to a multiple of the scale, and the LR side is
    made by MATLAB's bicubic. Decoded images are kept in the user's cache folder
    (`corenas_sr.data.store`), where all processes of a machine share them; in this process's memory
    where that cannot be.

    Args:
        source: A folder (`corenas_sr.data.folders`), or ``embedded`` for the bundled photographs.
        scale: How many times larger HR is than LR.
        split: Which part, where ``source`` holds both.
        largest: Pixels that an image may have at most.

    Raises:
        DataError: A folder or file cannot be used; all bad files are named at once.
    """
    return _load(source, scale, split, largest)


@cache
def _load(source: str, scale: int, split: Split, largest: int) -> tuple[ImagePair, ...]:
    _, openers, problems = _openers(source, scale, split, largest)
    stored = _stored(source, split, openers, problems)
    if stored is not None:
        return stored
    # Room is made first: images that are moved into one block later are there twice for a time.
    size = 3 * sum(_pixels_of(opener) for opener in openers)
    lows, highs = Block(size // scale**2), Block(size)
    pairs = [
        evolve(pair, lr=lows.add(pair.lr), hr=highs.add(pair.hr))
        for pair in _opened(openers, problems)
    ]
    refuse(source, problems)
    return tuple(pairs)


def _stored(
    source: str, split: Split, openers: Sequence[Opener], problems: Sequence[str]
) -> tuple[ImagePair, ...] | None:
    """Return the pairs from the store; None where there cannot be one."""
    with _saying_why():
        store = _store(source, split, openers, problems)
        if store is None:
            return None
        return tuple(
            ImagePair(entry.name, lr, hr, opener.paths)
            for entry, opener, (hr, lr) in zip(store.entries, openers, store.images(), strict=True)
        )
    return None


def _entries(
    source: str, split: Split, openers: Sequence[Opener], problems: list[str]
) -> Iterable[Entry]:
    """Return what the store says of each pair, or else what decoding it says."""
    with _saying_why():
        store = _store(source, split, openers, problems)
        if store is not None:
            return store.entries
    return _inspect_all(openers, problems)


def _store(
    source: str, split: Split, openers: Sequence[Opener], problems: Sequence[str]
) -> Store | None:
    """Return the store of a source's images; None where there cannot be one.

    Raises:
        DataError: A file cannot be used.
        OSError: Nothing can be kept.
    """
    if source == EMBEDDED or problems or not openers:
        return None
    kind = f"{split}, x{openers[0].scale}, {openers[0].largest} pixels at most"
    sources = [PairSource(o.files.name, o.paths, partial(_decode, o)) for o in openers]
    return open_store(sources, place=Path(source).expanduser().absolute(), kind=kind)


@contextmanager
def _saying_why() -> Iterator[None]:
    """Say why nothing can be kept; of a file that cannot be used, whoever reads it next says it."""
    try:
        yield
    except DataError:
        pass
    except OSError as error:
        reason = str(error) if error.errno is None else error.strerror
        warnings.warn(f"decoded images cannot be kept for the next run: {reason}", stacklevel=4)


def _decode(opener: Opener) -> Pair:
    pair = opener.open()
    (hr_height, hr_width), (lr_height, lr_width) = pair.hr.shape[1:], pair.lr.shape[1:]
    entry = Entry(
        pair.name,
        (hr_height, hr_width),
        (lr_height, lr_width),
        digest_of(pair.hr),
        digest_of(pair.lr),
    )
    return entry, pair.hr, pair.lr


def _pixels_of(opener: Opener) -> int:
    try:
        pixels = math.prod(read_size(opener.files.hr))
    except DataError:
        return 0  # said when it is opened
    # No room for what a header claims and nobody will read.
    return pixels if pixels <= opener.largest else 0


def check_pairs(source: str, *, scale: int, split: Split, patch: int = 1) -> DataReport:
    """Look at every image, keeping none in memory.

    What is in the store of decoded images already is not decoded again.

    Args:
        source: As in `load_pairs`.
        scale: How many times larger HR is than LR.
        split: Which part, where ``source`` holds both.
        patch: LR pixels that each side must have at least.

    Raises:
        DataError: As in `load_pairs`; also where images are smaller than a patch.
    """
    layout, openers, problems = _openers(source, scale, split)
    entries = _entries(source, split, openers, problems)
    sizes, digests, content = [], {}, hashlib.sha256()
    for entry in entries:
        (height, width), (lr_height, lr_width) = entry.hr, entry.lr
        if min(height, width) < patch * scale:
            size = f"{lr_width}x{lr_height}"
            problems.append(f"{entry.name}: {size} LR pixels; a patch needs {patch}")
        sizes.append((width, height))
        digests[entry.name] = entry.hr_digest
        line = f"{entry.name} {entry.hr_digest} {entry.lr_digest}\n"
        content.update(line.encode(errors="surrogateescape"))
    refuse(source, problems)
    sizes.sort(key=math.prod)
    megapixels = sum(map(math.prod, sizes)) / 1e6
    return DataReport(source, layout, sizes[0], sizes[-1], megapixels, digests, content.hexdigest())


def _inspect_all(openers: Iterable[Opener], problems: list[str]) -> Iterator[Entry]:
    """Decode what can be decoded; append the others' problems."""
    for opener in openers:
        try:
            yield _inspect(opener, _stamps(opener.files))
        except DataError as error:
            problems.append(str(error))


# Evaluators and recipes check the same folders before a run: what did not change is decoded once.
@cache
def _inspect(opener: Opener, stamps: tuple[tuple[int, int], ...]) -> Entry:
    """Decode a pair of files, whose stamps tell whether they were changed since."""
    entry, _, _ = _decode(opener)
    return entry


def _stamps(files: PairFiles) -> tuple[tuple[int, int], ...]:
    """Return time of change and size of each file; nothing of one that cannot be reached."""
    stamps = []
    for path in filter(None, (files.hr, files.lr)):
        with suppress(OSError):
            status = path.stat()
            stamps.append((status.st_mtime_ns, status.st_size))
    return tuple(stamps)


def digest_of(image: Tensor) -> str:
    """Return a hash of an image's size and pixels, whatever file they came from."""
    shape, values = f"{_size(image)} ", image.permute(1, 2, 0).contiguous().numpy()
    return hashlib.sha256(shape.encode() + values.tobytes()).hexdigest()


def check_disjoint(training: DataReport, validation: DataReport) -> None:
    """Refuse validation images that are trained on.

    Raises:
        DataError: Images of both have the same pixels.
    """
    trained = {digest: name for name, digest in training.digests.items()}
    problems = [
        f"{name}: the same image as {trained[digest]} in {training.source}"
        for name, digest in validation.digests.items()
        if digest in trained
    ]
    refuse(f"{validation.source} (validation)", problems)


@frozen
class Opener:
    """The files of a pair, and what reads them."""

    files: PairFiles
    read: Callable[[PairFiles, int, int], ImagePair]
    scale: int
    largest: int

    @property
    def paths(self) -> tuple[Path, ...]:
        """The file of the high-resolution image, and that of the other one where there is one."""
        return tuple(filter(None, (self.files.hr, self.files.lr)))

    def open(self) -> ImagePair:
        """Read the pair.

        Raises:
            DataError: It cannot be used.
        """
        return self.read(self.files, self.scale, self.largest)


def _openers(
    source: str, scale: int, split: Split, largest: int = LARGEST
) -> tuple[str, Sequence[Opener], list[str]]:
    """Return the layout's name, what opens each pair, and the files without a partner."""
    if source == EMBEDDED:
        files = [PairFiles(path.stem, path, None) for path in photographs(split)]
        return EMBEDDED, [Opener(each, _bundled, scale, largest) for each in files], []
    found = find_pairs(Path(source).expanduser(), scale=scale, split=split)
    openers = [Opener(files, _open, scale, largest) for files in found.pairs]
    return found.layout, openers, [*found.problems]


def _opened(openers: Iterable[Opener], problems: list[str]) -> Iterator[ImagePair]:
    """Yield the pairs that can be opened; append the others' problems."""
    for opener in openers:
        try:
            pair = opener.open()
        except DataError as error:
            problems.append(str(error))
        else:
            yield pair


def describe_lr(pairs: Iterable[ImagePair], *, scale: int) -> str:
    """Return where low-resolution sides come from, and whether our own resize makes the same.

    Args:
        pairs: As `load_pairs` gives them.
        scale: How many times larger HR is than LR.
    """
    pairs = list(pairs)
    given = [pair for pair in pairs if len(pair.files) > 1]
    parts = []
    if len(given) < len(pairs):
        parts.append(f"{len(pairs) - len(given)} made from HR by CoreNAS (MATLAB's bicubic)")
    for folder in dict.fromkeys(pair.files[1].parent for pair in given):
        inside = [pair for pair in given if pair.files[1].parent == folder]
        others = sum(not torch.equal(resize(p.hr, Fraction(1, scale)), p.lr) for p in inside)
        same = f"{others} of them DIFFER from" if others else "equal to"
        parts.append(f"{len(inside)} files in {folder}, {same} what CoreNAS's bicubic makes")
    return "; ".join(parts)


def refuse(source: str, problems: Sequence[str]) -> None:
    """Raise a `DataError` that names the problems, the first ten of them; nothing for none."""
    if not problems:
        return
    if len(problems) == 1:
        raise DataError(f"{source}: one file cannot be used: {problems[0]}")
    lines = list(problems[:_SHOWN])
    if len(problems) > _SHOWN:
        lines.append(f"and {len(problems) - _SHOWN} more")
    raise DataError("\n  ".join([f"{source}: {len(problems)} files cannot be used:", *lines]))


def _bundled(files: PairFiles, scale: int, largest: int) -> ImagePair:
    hr = crop_to_multiple(read_image(files.hr, largest=largest), scale)
    return ImagePair(files.name, resize(hr, Fraction(1, scale)), hr, (files.hr,))


def _open(files: PairFiles, scale: int, largest: int) -> ImagePair:
    image = read_image(files.hr, largest=largest)
    hr = crop_hr(files.hr, image, scale)
    if files.lr is None:
        return ImagePair(files.name, resize(hr, Fraction(1, scale)), hr, (files.hr,))
    lr = read_lr(files.lr, files.hr, image, scale, largest=largest)
    return ImagePair(files.name, lr, hr, (files.hr, files.lr))


def crop_hr(file: Path, image: Tensor, scale: int) -> Tensor:
    """Crop the image of a file to a multiple of the scale.

    Raises:
        DataError: It is smaller than the scale.
    """
    hr = crop_to_multiple(image, scale)
    if not hr.numel():
        raise DataError(f"{file}: {_size(image)} is smaller than the scale {scale}")
    return hr


def read_lr(
    file: Path, hr_file: Path, image: Tensor, scale: int, *, largest: int = LARGEST
) -> Tensor:
    """Read the low-resolution partner of the image of ``hr_file``, before it is cropped.

    Raises:
        DataError: It cannot be read, or its size does not fit.
    """
    lr = read_image(file, largest=largest)
    height, width = (side // scale for side in image.shape[1:])
    if lr.shape != (3, height, width):
        allowed = f"{width}x{height} (1/{scale} of {_size(image)})"
        raise DataError(f"{file}: {_size(lr)} does not fit {hr_file.name}; needed {allowed}")
    return lr


def _size(image: Tensor) -> str:
    return f"{image.shape[2]}x{image.shape[1]}"
