"""What tests of several areas need."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

# Test processes run side by side; more threads in each would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def _write(folder: Path, count: int, *, seed: int) -> None:
    """Write smooth random images of 72x64 pixels."""
    import torch
    import torch.nn.functional as F

    from corenas_sr.data.images import write_image

    generator = torch.Generator().manual_seed(seed)
    for number in range(count):
        coarse = 255 * torch.rand(1, 3, 8, 9, generator=generator)
        image = F.interpolate(coarse, size=(64, 72), mode="bicubic")[0]
        write_image(folder / f"{folder.name}{number}.png", image.clamp(0, 255).to(torch.uint8))


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the folders ``train`` and ``valid``, of three and two small images."""
    folder = tmp_path_factory.mktemp("photographs")
    _write(folder / "train", 3, seed=0)
    _write(folder / "valid", 2, seed=1)
    return folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Send the kind of a trial to the process that counts, which may be another one."""
    for mark in item.iter_markers("abuse"):
        item.user_properties.append(("abuse", mark.args[0]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many trials of each kind of abuse held, where these were asked for."""
    if "abuse" not in (terminalreporter.config.getoption("markexpr") or ""):
        return
    counts: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, kind in report.user_properties:
                if name == "abuse":
                    counts.setdefault(kind, Counter())[outcome] += 1
    terminalreporter.section("trials of abuse")
    for kind, count in sorted(counts.items()):
        terminalreporter.line(f"{kind:56} held {count['passed']:4}  failed {count['failed']}")
    total = sum(counts.values(), Counter())
    terminalreporter.line(f"{'all':56} held {total['passed']:4}  failed {total['failed']}")
