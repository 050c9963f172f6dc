from __future__ import annotations

import subprocess
import sys

from corenas import structure
from corenas_sr.config import DataConfig


def test_data_defaults_to_the_bundled_photographs() -> None:
    config = structure(DataConfig)
    assert (config.train, config.validation, config.benchmarks) == ("embedded", "embedded", ())


def test_benchmarks_are_folders() -> None:
    assert structure(DataConfig, {"benchmarks": ["Set5", "Set14"]}).benchmarks == ("Set5", "Set14")


def test_options_are_read_without_importing_torch() -> None:
    code = "import sys, corenas_sr.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
