"""Teachers: what their images are, that they are made once, and which are refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve
from spandrel.architectures.ESRGAN import ESRGAN
from torch import Tensor

from corenas import DataError, InputError, choose, structure
from corenas_sr.data.datasets import ImagePair, load_pairs
from corenas_sr.data.images import write_image
from corenas_sr.data.packing import pixels
from corenas_sr.models.files import save_model
from corenas_sr.models.inference import bicubic
from corenas_sr.models.upscalers import find_upscaler
from corenas_trilevel.teacher.config import TeacherConfig
from corenas_trilevel.teacher.images import Teaching, check_teacher, taught_pairs

SCALE = 4


def esrgan(*, scale: int = SCALE, channels: int = 3) -> ESRGAN:
    """Return the smallest network of the published teachers' kind."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ESRGAN(in_nc=channels, out_nc=channels, num_filters=4, num_blocks=2, scale=scale)
        with torch.no_grad():
            *_, last = network.parameters()
            last.fill_(0.5)  # the middle of its range
    return network


def saved(folder: Path, name: str, value: object) -> str:
    torch.save(value, folder / name)
    return str(folder / name)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved(tmp_path_factory.mktemp("teacher"), "RRDB.pth", esrgan().state_dict())


@pytest.fixture(scope="module")
def pairs() -> tuple[ImagePair, ...]:
    """Two images of different sizes."""
    generator = torch.Generator().manual_seed(0)
    sizes = {"one": (9, 12), "two": (8, 7)}
    return tuple(
        ImagePair(
            name,
            torch.randint(0, 256, (3, h, w), generator=generator, dtype=torch.uint8),
            torch.randint(
                0, 256, (3, SCALE * h, SCALE * w), generator=generator, dtype=torch.uint8
            ),
        )
        for name, (h, w) in sizes.items()
    )


@pytest.fixture
def config(teacher: str, tmp_path: Path) -> TeacherConfig:
    return TeacherConfig(source=teacher, cache=tmp_path / "cache")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """The shapes of all images that the teacher's network is given."""
    seen: list[torch.Size] = []
    forward = ESRGAN.forward

    def counting(self: ESRGAN, x: Tensor) -> Tensor:
        seen.append(x.shape)
        result: Tensor = forward(self, x)
        return result

    monkeypatch.setattr(ESRGAN, "forward", counting)
    return seen


def is_output_for(image: Tensor, low: Tensor) -> bool:
    """Whether an image is what spandrel's module makes of another, rounded."""
    with torch.no_grad():
        output = 255 * esrgan().eval()(low[None].float() / 255)[0]
    return image.dtype == torch.uint8 and bool(((image - output).abs() < 0.501).all())


def entries(config: TeacherConfig) -> list[Path]:
    assert config.cache is not None
    return sorted(config.cache.rglob("*.png"))


def high(pairs: tuple[ImagePair, ...]) -> list[Tensor]:
    return [pair.hr for pair in pairs]


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_without_a_teacher_nothing_changes(pairs: tuple[ImagePair, ...]) -> None:
    config = TeacherConfig()
    check_teacher(config, scale=SCALE, pairs=pairs)
    assert taught_pairs(pairs, config, scale=SCALE) == pairs


def test_ground_truth_is_replaced_by_the_networks_output(
    pairs: tuple[ImagePair, ...], config: TeacherConfig
) -> None:
    check_teacher(config, scale=SCALE, pairs=pairs)
    taught = taught_pairs(pairs, config, scale=SCALE)
    assert [pair.name for pair in taught] == ["one", "two"]
    for pair, original in zip(taught, pairs, strict=True):
        assert pair.lr is original.lr
        assert is_output_for(pair.hr, original.lr)
        assert len(set(pair.hr.flatten().tolist())) > 5
    rows, _ = pixels(high(taught))  # patches are gathered from one block of memory
    assert rows.untyped_storage().data_ptr() == taught[0].hr.untyped_storage().data_ptr()


def test_second_time_the_network_does_not_run(
    pairs: tuple[ImagePair, ...], config: TeacherConfig, calls: list[torch.Size]
) -> None:
    first = taught_pairs(pairs, config, scale=SCALE)
    assert len(calls) == 2
    renamed = tuple(evolve(pair, name=f"other {pair.name}") for pair in reversed(pairs))
    again = taught_pairs(renamed, config, scale=SCALE)
    assert len(calls) == 2
    assert same(high(again), high(first)[::-1])
    assert [pair.name for pair in again] == ["other two", "other one"]


def test_another_teacher_or_image_has_entries_of_its_own(
    pairs: tuple[ImagePair, ...], config: TeacherConfig, tmp_path: Path
) -> None:
    taught_pairs(pairs[:1], config, scale=SCALE)
    weights = esrgan().state_dict()
    weights["model.0.weight"] = 2 * weights["model.0.weight"]
    other = evolve(config, source=saved(tmp_path, "other.pth", weights))
    (changed,) = taught_pairs(pairs[:1], other, scale=SCALE)
    assert not is_output_for(changed.hr, pairs[0].lr)
    brighter = evolve(pairs[0], lr=pairs[0].lr | 1)
    assert not torch.equal(brighter.lr, pairs[0].lr)
    taught_pairs([brighter], config, scale=SCALE)
    assert len(entries(config)) == 3


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def shrink(file: Path) -> None:
    write_image(file, torch.zeros(3, 4, 4, dtype=torch.uint8))


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, shrink])
def test_damaged_image_is_made_again_and_said(
    pairs: tuple[ImagePair, ...],
    config: TeacherConfig,
    calls: list[torch.Size],
    damage: Callable[[Path], None],
) -> None:
    first = taught_pairs(pairs, config, scale=SCALE)
    damage(entries(config)[0])
    with pytest.warns(UserWarning, match="the teacher makes this image again") as warned:
        again = taught_pairs(pairs, config, scale=SCALE)
    assert str(entries(config)[0]) in str(warned[0].message)
    assert same(high(again), high(first))
    assert len(calls) == 3
    taught_pairs(pairs, config, scale=SCALE)
    assert len(calls) == 3


def test_cache_that_cannot_be_written_costs_only_time(
    pairs: tuple[ImagePair, ...], config: TeacherConfig, tmp_path: Path
) -> None:
    (tmp_path / "cache").touch()
    with pytest.warns(UserWarning, match="cannot keep the teacher's images there"):
        taught = taught_pairs(pairs, config, scale=SCALE)
    assert is_output_for(taught[0].hr, pairs[0].lr)


def test_cache_is_that_of_the_user_unless_another_is_named(
    pairs: tuple[ImagePair, ...], teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    taught_pairs(pairs, TeacherConfig(source=teacher), scale=SCALE)
    assert len(list((tmp_path / "corenas" / "teacher").rglob("*.png"))) == 2


def test_large_images_are_made_in_tiles(config: TeacherConfig, calls: list[torch.Size]) -> None:
    low = torch.randint(
        0, 256, (3, 20, 100), generator=torch.Generator().manual_seed(1), dtype=torch.uint8
    )
    pair = ImagePair("wide", low, torch.zeros(3, 80, 400, dtype=torch.uint8))
    (whole,) = taught_pairs([pair], config, scale=SCALE)
    calls.clear()
    (tiled,) = taught_pairs([pair], evolve(config, tile=32), scale=SCALE)
    assert max(shape[3] for shape in calls[-4:]) < 100
    assert (tiled.hr.int() - whole.hr.int()).abs().max() <= 1
    assert len(entries(config)) == 2


def test_model_file_of_ours_can_teach(pairs: tuple[ImagePair, ...], tmp_path: Path) -> None:
    space = choose("search_spaces", "trilevel-b")
    options = {"cells": 2, "searched_cells": 1, "widths": [4], "features": 4}
    space = evolve(space, config=structure(type(space.config), options))
    built = space.build()
    architecture = built.parse({"path": "0", "cells": [[["conv1", 4]] * 5]})
    file = tmp_path / "teacher.safetensors"
    save_model(file, built.build(architecture), space=space, architecture=architecture, scale=SCALE)
    config = TeacherConfig(source=str(file), cache=tmp_path / "cache")
    check_teacher(config, scale=SCALE, pairs=pairs)
    taught = taught_pairs(pairs, config, scale=SCALE)
    expected = find_upscaler(str(file), scale=None).run(pairs[0].lr)
    assert torch.equal(taught[0].hr, expected)
    with pytest.raises(InputError, match=r"teacher\.safetensors: its scale is 4, not 2"):
        check_teacher(config, scale=2, pairs=pairs)


def test_folder_of_images_can_teach(pairs: tuple[ImagePair, ...], tmp_path: Path) -> None:
    for pair in pairs:
        write_image(tmp_path / "images" / f"{pair.name}x4.png", bicubic(pair.lr, SCALE))
    config = TeacherConfig(source=str(tmp_path / "images"), cache=tmp_path / "cache")
    check_teacher(config, scale=SCALE, pairs=pairs)
    taught = taught_pairs(pairs, config, scale=SCALE)
    assert same(high(taught), [bicubic(pair.lr, SCALE) for pair in pairs])
    assert not (tmp_path / "cache").exists()


def test_all_images_that_a_folder_lacks_are_named(
    pairs: tuple[ImagePair, ...], tmp_path: Path
) -> None:
    write_image(tmp_path / "one.png", bicubic(pairs[0].lr, 2))
    with pytest.raises(DataError) as refusal:
        check_teacher(TeacherConfig(source=str(tmp_path)), scale=SCALE, pairs=pairs)
    message = str(refusal.value)
    assert f"{tmp_path}: 2 files cannot be used" in message
    assert "one.png: its size is 24x18, that of the ground truth 48x36" in message
    assert "0 images are named two" in message


class Code:
    """What a pickle can hide: a command that runs when it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder / "executed"),)


def test_code_in_a_file_is_refused_and_not_executed(
    pairs: tuple[ImagePair, ...], tmp_path: Path
) -> None:
    source = saved(tmp_path, "code.pth", {"params": esrgan().state_dict(), "more": Code(tmp_path)})
    for use in (check_teacher, taught_pairs):
        with pytest.raises(DataError, match=r"code\.pth: refused: it holds posix\.mkdir beside"):
            use(config=TeacherConfig(source=source), scale=SCALE, pairs=pairs)
    assert not (tmp_path / "executed").exists()


def refusal(source: str, pairs: tuple[ImagePair, ...], *, scale: int = SCALE) -> str:
    with pytest.raises(InputError) as refused:
        check_teacher(TeacherConfig(source=source), scale=scale, pairs=pairs)
    message = str(refused.value)
    assert message.startswith(f"{source}: ")
    assert "\n" not in message
    return message


def test_network_that_cannot_teach_is_refused(
    pairs: tuple[ImagePair, ...], teacher: str, tmp_path: Path
) -> None:
    assert refusal(teacher, pairs, scale=2).endswith("its scale is 4, not 2")
    grey = saved(tmp_path, "grey.pth", esrgan(channels=1).state_dict())
    assert "takes 1 and gives 1 channels" in refusal(grey, pairs)
    denoiser = saved(tmp_path, "denoiser.pth", esrgan(scale=1).state_dict())
    assert "not a super-resolution network, but one for Restoration" in refusal(denoiser, pairs)
    unknown = saved(tmp_path, "unknown.pth", {"weight": torch.zeros(3)})
    assert "no network that spandrel knows" in refusal(unknown, pairs)
    weights = esrgan().state_dict()
    diverged = saved(tmp_path, "nan.pth", {n: t * torch.nan for n, t in weights.items()})
    assert "not all finite numbers" in refusal(diverged, pairs)
    weights["model.0.weight"] = weights["model.0.weight"][:, :, :1]
    assert "its weights fit no network" in refusal(saved(tmp_path, "cut.pth", weights), pairs)


def test_file_that_cannot_be_read_is_refused(
    pairs: tuple[ImagePair, ...], teacher: str, tmp_path: Path
) -> None:
    assert refusal(str(tmp_path / "absent.pth"), pairs).endswith("No such file or directory")
    (tmp_path / "cut.pth").write_bytes(Path(teacher).read_bytes()[:5000])
    assert "damaged, or not a file of weights" in refusal(str(tmp_path / "cut.pth"), pairs)
    assert "no weights by name" in refusal(saved(tmp_path, "list.pth", [1, 2]), pairs)
    write_image(tmp_path / "image.png", pairs[0].lr)
    assert "not a model file" in refusal(str(tmp_path / "image.png"), pairs)


def test_images_are_made_one_an_event_and_a_stopped_teacher_goes_on_where_it_was(
    teacher: str, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TeacherConfig(source=teacher, cache=tmp_path)
    source = str(photographs / "train")

    def teaching() -> Teaching:
        return Teaching(source, config, scale=SCALE, device="cpu")

    first = teaching()
    events = first.events()
    begun = [next(events), next(events)]
    assert [(event.step, event.total) for event in begun] == [(1, 3), (2, 3)]
    assert len(list(tmp_path.rglob("*.png"))) == 2
    restored = teaching()
    restored.restore(first.state())
    assert [event.step for event in restored.events()] == [3]
    assert restored.result(tmp_path).values == {"images": 3}
    assert len(list(tmp_path.rglob("*.png"))) == 3
    pairs = load_pairs(source, scale=SCALE, split="train")
    monkeypatch.setattr(ESRGAN, "forward", None)  # all is read from the files
    assert len(taught_pairs(pairs, config, scale=SCALE)) == 3
