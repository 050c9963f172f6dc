from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from corenas import structure
from corenas_sr.config import DataConfig


def test_data_defaults_to_the_bundled_photographs() -> None:
    config = structure(DataConfig)
    assert (config.train, config.validation, config.benchmarks) == ("embedded", "embedded", ())


def test_folders_are_absolute_because_a_run_may_be_resumed_from_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    config = structure(DataConfig, {"train": "mine", "benchmarks": ["Set5", "/data/Set14"]})
    assert config.train == str(tmp_path / "mine")
    assert config.benchmarks == (str(tmp_path / "Set5"), "/data/Set14")


def test_options_are_read_without_importing_torch() -> None:
    code = "import sys, corenas_sr.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
