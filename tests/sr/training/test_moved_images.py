"""A run whose images moved goes on with them, and with no others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from corenas import cli
from corenas.testing.installed import InstallPlugin, install_plugin
from corenas_sr.data.images import read_image, write_image

pytestmark = pytest.mark.abuse("images moved or replaced")

__all__ = ["install_plugin"]

SHORT = (
    *("--set", "training.steps=6", "--set", "training.batch=2", "--set", "training.patch=8"),
    *("--set", "training.report_every=1", "--set", "scale=2"),
)


OBSERVER = """
from corenas import hookimpl

begun = []


@hookimpl
def corenas_event(run, event):
    if event.kind == "epoch" and not begun:
        begun.append(event)
        run.stop.request("interrupted")
"""


@pytest.fixture
def stopped(tmp_path: Path, photographs: Path, install_plugin: InstallPlugin) -> Path:
    """A run folder that was stopped in its training, beside its images."""
    install_plugin("stops-once", OBSERVER)
    shutil.copytree(photographs, tmp_path / "old")
    options = [f"data.train={tmp_path}/old/train", f"data.validation={tmp_path}/old/valid"]
    assignments = [word for option in options for word in ("--set", option)]
    run = ["run", "train", "--out", str(tmp_path / "run"), *SHORT, *assignments]
    assert cli.main(run) == 130
    assert not json.loads((tmp_path / "run/summary.json").read_text())["finished"]
    return tmp_path


def resume(folder: Path, place: str) -> int:
    where = [f"data.train={folder}/{place}/train", f"data.validation={folder}/{place}/valid"]
    assignments = [word for option in where for word in ("--set", option)]
    return cli.main(["resume", str(folder / "run"), *assignments])


def test_images_that_moved_are_taken(stopped: Path) -> None:
    (stopped / "old").rename(stopped / "new")
    assert resume(stopped, "new") == 0
    assert json.loads((stopped / "run/summary.json").read_text())["finished"]


@pytest.mark.parametrize("changed", ["train/train0.png", "valid/valid0.png"])
@pytest.mark.parametrize("moved", [True, False])
def test_other_images_are_refused(
    stopped: Path, capsys: pytest.CaptureFixture[str], changed: str, moved: bool
) -> None:
    place = "new" if moved else "old"
    if moved:
        (stopped / "old").rename(stopped / "new")
    image = read_image(stopped / place / changed)
    image[0, 0, 0] ^= 1
    write_image(stopped / place / changed, image)
    assert resume(stopped, place) == 2
    assert "the image-set is not what it was when the run began" in capsys.readouterr().err
