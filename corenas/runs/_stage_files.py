"""The files that stages hand over: each belongs to one stage, and is known by its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import evolve, frozen

from corenas.errors import CorenasError, ResumeError
from corenas.files import sync_folder
from corenas.protocols import Task
from corenas.values.result import Result


@frozen
class _File:
    stage: str
    digest: str
    finished: bool


class StageFiles:
    """Which stage handed over which file of a folder, and what was in it.

    Args:
        folder: Holds the files; names are relative to it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _File] = {}

    def hand_over(self, stage: str, task: Task, below: str = "") -> Result:
        """Let a task write its result's files, into the folder ``below`` this one if it is named.

        Raises:
            CorenasError: A file belongs to another stage, which is finished. Nothing is written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        # Written beside its place first: what is there may be another stage's.
        with TemporaryDirectory(dir=self._folder, prefix=".", suffix="~") as temporary:
            root = Path(temporary)
            inner = root / below
            inner.mkdir(exist_ok=True)
            result = task.result(inner)
            digests = {name: _digest(root / name) for name in _list_files(root)}
            # All are checked before the first is moved: a refusal changes nothing.
            self._refuse_files_of_others(stage, digests)
            for name in digests:
                _move(root / name, self._folder / name)
        others = {name: file for name, file in self._files.items() if file.stage != stage}
        own = {name: _File(stage, digest, finished=False) for name, digest in digests.items()}
        self._files = others | own
        files = {what: _join(below, name) for what, name in result.files.items()}
        return evolve(result, files=files)

    def _refuse_files_of_others(self, stage: str, names: Mapping[str, str]) -> None:
        for name in names:
            known = self._files.get(name)
            if known is not None and known.finished and known.stage != stage:
                raise CorenasError(
                    f"the stages {known.stage} and {stage} both hand over {self._folder / name}; "
                    "a recipe gives one of them a folder of its own: Run.stage(..., folder=...)"
                )

    def finish(self, stage: str) -> dict[str, str]:
        """Protect a stage's files from all later stages; return their digests by name."""
        own = {name: file.digest for name, file in self._files.items() if file.stage == stage}
        self.add(stage, own)
        return own

    def add(self, stage: str, digests: Mapping[str, str]) -> None:
        """Add the files that a finished stage handed over."""
        self._files |= {
            name: _File(stage, digest, finished=True) for name, digest in digests.items()
        }

    def check_stage(self, stage: str) -> None:
        """Check every file of a stage.

        Raises:
            ResumeError: One is missing, or is not the one that the stage wrote.
        """
        for name, file in self._files.items():
            if file.stage == stage:
                self.path(name)

    def path(self, name: str) -> Path:
        """Return where a file lies.

        Raises:
            ResumeError: It is missing, or is not the one that the stage wrote.
        """
        path, known = self._folder / name, self._files.get(name)
        stage = "" if known is None else f"; the stage {known.stage} wrote it"
        if not path.is_file():
            raise ResumeError(f"{path}: is missing{stage}: {_ADVICE}")
        if known is not None and _digest(path) != known.digest:
            raise ResumeError(f"{path}: was changed{stage}, and this is another content: {_ADVICE}")
        return path


_ADVICE = "bring the file back from a copy, or begin the run anew in another folder"


def _list_files(root: Path) -> Iterator[str]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return (path.relative_to(root).as_posix() for path in files)


def _join(below: str, name: str) -> str:
    return f"{below}/{name}" if below else name


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    sync_folder(target.parent)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say what a failed write means for the run in ``folder``."""
    try:
        yield
    except OSError as error:
        raise CorenasError(
            f"{folder}: cannot write: {error.strerror or error}; the run is saved up to its last "
            f"checkpoint: mend this, then 'corenas resume {folder}'"
        ) from error
