"""Files that a run's folders hold besides images are named before it trains."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from corenas_sr.config import EMBEDDED, DataConfig
from corenas_sr.data.images import write_image
from corenas_sr.data.preflight import check_data


@pytest.mark.parametrize("part", ["train", "validation", "benchmarks"])
def test_files_that_are_left_out_of_a_run_are_named(part: str, tmp_path: Path) -> None:
    sources = {name: tmp_path / name for name in ("train", "validation", "benchmarks")}
    for number, folder in enumerate(sources.values()):
        write_image(folder / "a.png", torch.full((3, 32, 32), number, dtype=torch.uint8))
    (sources[part] / "b.heic").write_bytes(b"text")
    config = DataConfig(
        train=str(sources["train"]),
        validation=str(sources["validation"]),
        benchmarks=(str(sources["benchmarks"]), EMBEDDED),
    )
    with pytest.warns(UserWarning, match=f"{part}: 1 file left out, no images: b.heic") as seen:
        check_data(config, patches={2: 8, 4: 4})
    assert len(seen) == 1
