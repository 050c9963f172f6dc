"""Model files that cost nothing: networks with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest
import torch
from attrs import evolve

from corenas import choose
from corenas.testing.installed import install_plugin
from corenas_sr.models.files import save_model

__all__ = ["install_plugin"]


class WriteModel(Protocol):
    """What the fixture `write_model` is."""

    def __call__(
        self, *, scale: int = 2, channels: int = 16, cell: tuple[str, ...] = ("conv3", "dsep5")
    ) -> Path:
        """Write the file of a chain of operations."""


@pytest.fixture(scope="session")
def write_model(tmp_path_factory: pytest.TempPathFactory) -> WriteModel:
    folder = tmp_path_factory.mktemp("models")

    def write(
        *, scale: int = 2, channels: int = 16, cell: tuple[str, ...] = ("conv3", "dsep5")
    ) -> Path:
        file = folder / f"{'-'.join(cell)}-{channels}-x{scale}.safetensors"
        if not file.exists():
            space = choose("search_spaces", "tpsr-generator")
            options = {"nodes": len(cell), "channels": channels, "scale": scale}
            space = evolve(space, config=evolve(space.config, **options))
            built = space.build()
            architecture = built.parse([[name, node] for node, name in enumerate(cell)])
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                module = built.build(architecture)
            save_model(file, module, space=space, architecture=architecture, scale=scale)
        return file

    return write
