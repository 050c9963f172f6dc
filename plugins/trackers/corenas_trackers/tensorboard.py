"""The tracker ``tensorboard``: event files, by the writer that comes with torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from corenas.errors import CorenasError
from corenas.names import printable
from corenas.runs.journal import Entry
from corenas.tracking.tracker import State, Tracked, flat_numbers, numbers_of
from corenas_trackers.config import TensorboardConfig

SUFFIX = ".corenas"
"""How the names of our event files end."""


class TensorboardTracker:
    """Writes event files; the mark is the size of each.

    A session has a file of its own. What a killed one wrote behind its last mark is cut, so that
    nothing is there twice.
    """

    def __init__(self, config: TensorboardConfig) -> None:
        self._config = config

    def begin(self, run: Tracked) -> None:
        """Cut what an earlier session wrote too much, and begin a file."""
        self._run = run
        mark = run.mark or {"folder": self._choose_folder(run), "files": {}}
        self._elsewhere: str | None = mark["folder"]
        self._folder = run.place if self._elsewhere is None else Path(self._elsewhere)
        self._cut({str(name): int(size) for name, size in mark["files"].items()})
        self._writer = SummaryWriter(str(self._folder), filename_suffix=SUFFIX)
        if run.mark is None:
            self._writer.add_text("options", _table(run.parameters.items()))

    def _choose_folder(self, run: Tracked) -> str | None:
        """Return the folder that the options ask for; None for the one in the run's own."""
        if self._config.folder is None:
            return None
        # Other runs may have the same name, and must not lose their files to this one.
        own = hashlib.sha256(run.identity.encode()).hexdigest()[:8]
        return str(self._config.folder.absolute() / f"{run.folder.resolve().name}-{own}")

    def _cut(self, sizes: Mapping[str, int]) -> None:
        """Bring the files of earlier sessions to the sizes that the mark holds."""
        for name, size in sizes.items():
            file = self._folder / name
            if not file.exists() or file.stat().st_size < size:
                raise CorenasError(
                    f"{file}: is missing or shorter than what was written into it; delete "
                    f"{self._run.place}.json to have all written again, into another folder"
                )
            with file.open("r+b") as opened:
                opened.truncate(size)
        for file in self._files():
            if file.name not in sizes:
                file.unlink()

    def _files(self) -> Iterator[Path]:
        return self._folder.glob(f"events.out.tfevents.*{SUFFIX}")

    def log(self, entry: Entry) -> None:
        """Write the numbers of an event, by stage and name."""
        at = datetime.fromisoformat(entry.time).timestamp()
        for name, value in numbers_of(entry).items():
            self._writer.add_scalar(f"{entry.event.stage}/{name}", value, entry.event.step, at)

    def picture(self, name: str, file: Path) -> None:
        """Write a picture."""
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB"))
        self._writer.add_image(name, pixels, dataformats="HWC")

    def flush(self) -> dict[str, Any]:
        """Write all, and return the folder and the sizes of its files."""
        self._writer.flush()
        sizes = {file.name: file.stat().st_size for file in self._files()}
        return {"folder": self._elsewhere, "files": sizes}

    def end(self, state: State, summary: Mapping[str, Any]) -> None:
        """Write the results, as a table and beside the options."""
        numbers = flat_numbers(summary)
        if state == "finished":
            self._writer.add_text("results", _table(numbers.items()))
            writer: Any = self._writer.file_writer  # torch types neither this nor `hparams`
            for each in hparams(dict(self._run.parameters), numbers):  # type: ignore[no-untyped-call]
                writer.add_summary(each)
            for name, value in numbers.items():
                self._writer.add_scalar(f"results/{name}", value)
        self._writer.close()


def _table(rows: Iterable[tuple[str, object]]) -> str:
    """Return a table in Markdown, as TensorBoard shows text."""
    cells = ((_cell(name), _cell(value)) for name, value in rows)
    lines = [f"| {name} | {value} |" for name, value in cells]
    return "\n".join(["| name | value |", "|---|---|", *lines])


def _cell(value: object) -> str:
    return printable(str(value)).replace("|", "\\|")
