"""Upscaling of many files: each is written while the next is computed, and none ends the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from attrs import frozen
from torch import Tensor

from corenas.errors import CorenasError, DataError
from corenas_sr.data.images import LARGEST, read_image, read_profile, refuse_large, within_memory
from corenas_sr.data.marks import (
    digest_of_file,
    is_made_from,
    refuse_overwriting,
    write_marked,
)
from corenas_sr.models.upscalers import Upscaler

_COMMAND = "upscale"
_ADVICE = "smaller tiles (--tile) need less"


@frozen
class Upscaled:
    """How many files were made, and were there already; what could not be done."""

    made: int
    kept: int
    problems: tuple[str, ...]


def way_of(model: str, *, scale: int, tile: int | None) -> str:
    """Return one word for what an upscaled image follows from, besides its source."""
    path = Path(model)
    what = digest_of_file(path) if path.is_file() else model
    return f"{what}:x{scale}:{tile or 'auto'}"


def upscale_files(
    upscaler: Upscaler,
    files: Mapping[Path, Path],
    *,
    way: str,
    overwrite: bool = False,
    largest: int = LARGEST,
    shown: Iterable[Path] | None = None,
) -> Upscaled:
    """Upscale files; what an earlier call made of the same file in the same way is kept.

    An ICC profile goes with its image. One image at most is being written while the next is
    computed, so that two results are in memory at once.

    Args:
        upscaler: What makes an image larger.
        files: Where each goes.
        way: See `way_of`.
        overwrite: Replace files that this function did not write.
        largest: Pixels that an image, or what is made of it, may have at most.
        shown: The same files, for a bar that counts them.

    Raises:
        InputError: Something else wrote a target, or one is also read; nothing is done.
    """
    refuse_overwriting(files.values(), command=_COMMAND, overwrite=overwrite, read=files)
    made, kept, problems = 0, 0, []
    pending: Future[None] | None = None

    def write(target: Path, image: Tensor, key: str, profile: bytes | None) -> None:
        with within_memory(target):
            write_marked(
                target, image, command=_COMMAND, source=key, profile=profile, largest=largest
            )

    with ThreadPoolExecutor(1) as writer:
        for source in files if shown is None else shown:
            target = files[source]
            try:
                with within_memory(source, advice=_ADVICE):
                    key = f"{way}:{digest_of_file(source)}"
                    if is_made_from(target, key, command=_COMMAND):
                        kept += 1
                        continue
                    low, profile = read_image(source, largest=largest), read_profile(source)
                    height, width = (side * upscaler.scale for side in low.shape[1:])
                    refuse_large(target, (width, height), largest=largest)
                    image = upscaler.run(low)
            except DataError as error:
                problems.append(str(error))
                continue
            made += _finished(pending, problems)
            pending = writer.submit(write, target, image, key, profile)
            del image
        made += _finished(pending, problems)
    return Upscaled(made, kept, tuple(problems))


def _finished(pending: Future[None] | None, problems: list[str]) -> bool:
    """Wait for a file; return whether it was written."""
    if pending is None:
        return False
    try:
        pending.result()
    except CorenasError as error:
        problems.append(str(error))
        return False
    return True
