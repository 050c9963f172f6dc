"""Images too large for memory, or for the limit on pixels."""

from __future__ import annotations

import importlib
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from corenas import cli
from corenas_sr.data import datasets
from corenas_sr.data.images import read_image, write_image

pytestmark = pytest.mark.abuse("images too large, memory that runs out")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    datasets._load.cache_clear()  # every test has another folder of the same name
    yield
    datasets._load.cache_clear()


def photograph(path: str, *, seed: int = 0) -> None:
    values = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def run(*arguments: object) -> int:
    return cli.main([str(each) for each in arguments])


def test_large_image_is_read_back(tmp_path: Path) -> None:
    image = torch.zeros(13500, 13500, 3, dtype=torch.uint8).permute(2, 0, 1)
    write_image("poster.png", image)
    assert read_image("poster.png").shape == image.shape
    with pytest.raises(Exception, match="too large: 182 megapixels"):
        read_image("poster.png", largest=10**8)


@pytest.mark.parametrize("side", ["input", "result"])
def test_limit_of_pixels_is_an_option(
    side: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = torch.zeros(800, 1000, 3, dtype=torch.uint8).permute(2, 0, 1)
    if side == "input":
        image = image.repeat(1, 2, 1)
    write_image("in/a.png", image)
    arguments = ["upscale", "bicubic", "in", "--scale=2"]
    with monkeypatch.context() as patched:
        patched.setattr(
            "corenas_sr.models.upscalers.bicubic", lambda low, scale: pytest.fail("computed")
        )
        assert run(*arguments, "--largest=1") == 2
    err = capsys.readouterr().err
    assert "megapixels; at most 1 " in err
    assert "damaged" not in err
    assert run(*arguments, "--largest=8") == 0
    assert run(*arguments, "--largest=8") == 0
    assert "1 were there already" in capsys.readouterr().out


LIMITED = {
    "truth": ["evaluate", "bicubic", "in", "--scale=2", "--metrics=psnr"],
    "upscaled": ["evaluate", "in", "small", "--scale=2", "--metrics=psnr"],
    "no truth": ["evaluate", "in", "--metrics=niqe"],
    "check": ["data", "check", "in", "--scale=2"],
    "validation": ["data", "check", "small", "--validation=in", "--scale=2"],
    "prepare": ["data", "prepare", "in", "--scale=2"],
}


@pytest.mark.parametrize("use", LIMITED)
def test_limit_is_one_of_all_commands_that_read_images(
    use: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photograph("small/a.png")
    write_image("in/a.png", torch.zeros(1000, 1500, 3, dtype=torch.uint8).permute(2, 0, 1))
    assert run(*LIMITED[use], "--largest=1") == 2
    said = capsys.readouterr().err
    assert "a.png: too large: 2 megapixels; at most 1 are read and written" in said
    # What is wrong now is something else, if anything: sizes that differ, an image of one colour.
    run(*LIMITED[use], "--largest=2")
    assert "too large" not in capsys.readouterr().err


def test_no_room_is_made_for_what_a_header_claims(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photograph("in/a.png")
    photograph("in/b.png", seed=1)
    whole = Path("in/b.png").read_bytes()
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + whole[24:29]
    check = struct.pack(">I", zlib.crc32(header))
    Path("in/b.png").write_bytes(whole[:12] + header + check + whole[33:])
    asked: list[int] = []
    made = datasets.Block
    monkeypatch.setattr(datasets, "Block", lambda size: (asked.append(size), made(size))[1])
    assert run("evaluate", "bicubic", "in", "--scale=2") == 2
    assert "b.png: too large: 3600 megapixels" in capsys.readouterr().err
    assert max(asked) == 3 * 24 * 32


MEMORY = {
    "process": MemoryError(),
    "torch": RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate"),
    "device": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
}
STEPS = {
    "reading": (["upscale", "bicubic", "hr", "--scale=2"], "models.batches.read_image"),
    "network": (["upscale", "bicubic", "hr", "--scale=2"], "models.upscalers.bicubic"),
    "writing": (["upscale", "bicubic", "hr", "--scale=2"], "models.batches.write_marked"),
    "prepare": (["data", "prepare", "hr", "--scale=2"], "preparation.prepare.resize"),
    "check": (["data", "check", "hr"], "preparation.check.read_image"),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", MEMORY)
def test_image_too_large_for_memory_costs_itself_alone(
    error: str, step: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate(("a", "b", "c")):
        photograph(f"hr/{name}.png", seed=number)
    arguments, place = STEPS[step]
    module, _, name = f"corenas_sr.{place}".rpartition(".")
    whole = getattr(importlib.import_module(module), name)
    calls = []

    def second_fails(*given: object, **options: object) -> object:
        calls.append(given)
        if len(calls) == 2:
            raise MEMORY[error]
        return whole(*given, **options)

    with monkeypatch.context() as patched:
        patched.setattr(f"{module}.{name}", second_fails)
        assert run(*arguments) == 2
    said = capsys.readouterr().err
    assert len(calls) == 3
    assert "b" in said.partition("out of memory")[0].rsplit("/", 1)[-1]
    assert ("--tile" in said) == (step in {"reading", "network"})
    made = [path.name[0] for path in Path().glob("*/**/*2.png")] or ["a", "c"]
    made = made if step != "reading" else [p.name[0] for p in Path("upscaled").iterdir()]
    assert sorted(made) == ["a", "c"]
    assert run(*arguments) == 0


def test_other_errors_of_a_network_are_no_shortage(monkeypatch: pytest.MonkeyPatch) -> None:
    photograph("hr/a.png")

    def broken(*_: object) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr("corenas_sr.models.upscalers.bicubic", broken)
    assert run("upscale", "bicubic", "hr", "--scale=2") == 1
