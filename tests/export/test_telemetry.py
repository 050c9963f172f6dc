"""Nothing is told of a user: what this package imports sends no usage data."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ONNX_RUNTIME = """
import os

print(os.environ.get("ORT_DISABLE_TELEMETRY"))
"""


@pytest.mark.parametrize(("users", "expected"), [({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")])
def test_onnx_runtime_is_imported_without_its_telemetry(
    tmp_path: Path, users: dict[str, str], expected: str
) -> None:
    """A module in its place prints what it finds when it is imported."""
    (tmp_path / "onnxruntime.py").write_text(ONNX_RUNTIME)
    env = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    env["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{env.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, "-c", "import corenas_export.onnx_files.reader"],
        env=env | users,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == expected
