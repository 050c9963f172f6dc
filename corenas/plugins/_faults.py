"""One line that says what is wrong with a plugin."""

from __future__ import annotations

from pathlib import Path
from traceback import extract_tb

from corenas.errors import PluginError


def explain(error: BaseException) -> str:
    """Return what went wrong, and where when it is not our own finding."""
    # On one line, because `corenas plugins` prints a table.
    text = " ".join(str(error).split())
    if isinstance(error, PluginError):
        return text
    frames = [frame for frame in extract_tb(error.__traceback__) if _is_foreign(frame.filename)]
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}{where}"


def _is_foreign(file: str) -> bool:
    """Return whether a plugin's author may look there.

    That is neither here, where plugins are loaded, nor where Python imports modules.
    """
    return Path(file).parent != Path(__file__).parent and "importlib" not in file
