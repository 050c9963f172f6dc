from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corenas_sr.data.images import quantise, resize
from corenas_sr.models import inference
from corenas_sr.models.inference import bicubic, receptive_radius, upscale


class Network(nn.Module):
    """A tiny network of the usual parts, to RGB in 0..255; it sees ``radius`` pixels."""

    radius = 1 + 3 + 2 + 1 + 1 + 1

    def __init__(self, scale: int = 2, *, channels: int = 16, pooled: bool = False) -> None:
        super().__init__()
        self.pooled = pooled
        self.body = nn.Sequential(
            nn.Conv2d(3, channels, 3, padding=1),
            nn.Conv2d(channels, channels, 7, padding=3),
            nn.PReLU(),
            nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False),
            nn.Conv2d(channels, channels, 1),
            nn.PReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, groups=4),
            nn.Conv2d(channels, 3 * scale**2, 3, padding=1),
            nn.PixelShuffle(scale),
            nn.Conv2d(3, 3, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x - 110)
        if self.pooled:
            y = y * torch.sigmoid(y.mean((2, 3), keepdim=True))
        return 100 * y + 110


class CoarseNetwork(nn.Module):
    """Works on cells of four pixels, padded as such networks do at the right and bottom."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(48, 48, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        padded = F.pad(x, (0, -width % 4, 0, -height % 4))
        cells = self.convolution(F.pixel_unshuffle(padded, 4))
        larger = F.interpolate(F.pixel_shuffle(cells, 4), scale_factor=2.0)
        return larger[..., : 2 * height, : 2 * width]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def photograph(height: int, width: int) -> Tensor:
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8)


def whole(model: nn.Module, image: Tensor) -> Tensor:
    with torch.no_grad():
        batch = image[None].float().contiguous(memory_format=torch.channels_last)
        return quantise(model(batch))[0]


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_whole_image_is_rounded_clamped_and_larger(scale: int) -> None:
    model, image = Network(scale).eval(), photograph(20, 31)
    result = upscale(model, image, scale=scale)
    with torch.no_grad():
        exact = model(image[None].float())[0]
    assert result.dtype == torch.uint8
    assert result.shape == (3, 20 * scale, 31 * scale)
    assert exact.min() < 0
    assert exact.max() > 255
    assert (result - exact.clamp(0, 255)).abs().max() <= 0.5 + 1e-3


@pytest.mark.parametrize("channels", [16, 20, 32])
@pytest.mark.parametrize("size", [(201, 167), (33, 240)])
@pytest.mark.parametrize("tile", [100, 128])
def test_tiles_equal_the_whole_image(channels: int, size: tuple[int, int], tile: int) -> None:
    model, image = Network(channels=channels).eval(), photograph(*size)
    assert torch.equal(upscale(model, image, scale=2, tile=tile), whole(model, image))


@pytest.mark.parametrize("channels", [8, 16, 64])
@pytest.mark.parametrize("tile", [7, 16, 33])
def test_small_tiles_equal_the_whole_image_but_for_rounding(channels: int, tile: int) -> None:
    model, image = Network(channels=channels).eval(), photograph(81, 60)
    difference = upscale(model, image, scale=2, tile=tile).int() - whole(model, image).int()
    assert difference.abs().max() <= 1
    assert (difference != 0).float().mean() < 1e-3


@pytest.mark.parametrize("tile", [5, 16, 30])
def test_tiles_equal_the_whole_image_for_networks_on_a_coarser_grid(tile: int) -> None:
    model, image = CoarseNetwork().eval(), photograph(53, 47)
    assert torch.equal(upscale(model, image, scale=2, tile=tile), whole(model, image))


def test_large_image_is_done_in_tiles_without_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "DEFAULT_TILE", 100)
    model, image = Network().eval(), photograph(110, 240)
    shapes: list[torch.Size] = []
    hook = model.register_forward_pre_hook(lambda _, inputs: shapes.append(inputs[0].shape))
    result = upscale(model, image, scale=2)
    hook.remove()
    assert torch.equal(result, whole(model, image))
    _probed, *tiles = shapes
    assert len(tiles) == 2 * 3
    assert max(height * width for *_, height, width in tiles) < 100 * 110


def test_receptive_radius_is_that_of_the_convolutions() -> None:
    assert receptive_radius(Network(2), scale=2) == Network.radius
    assert receptive_radius(nn.PixelShuffle(1), scale=1) == 0


def test_receptive_radius_counts_weights_that_are_zero() -> None:
    convolution = nn.Conv2d(3, 3, 9, padding=4)
    nn.init.zeros_(convolution.weight)
    assert receptive_radius(convolution, scale=1) == 4


@pytest.mark.parametrize(("layers", "radius"), [(5, 20), (24, 96), (40, None)])
def test_receptive_radius_of_deep_networks(layers: int, radius: int | None) -> None:
    model = nn.Sequential(*(nn.Conv2d(3, 3, 9, padding=4) for _ in range(layers)))
    assert receptive_radius(model, scale=1) == radius


def test_probing_leaves_the_network_as_it_is() -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)).double().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    receptive_radius(model, scale=1)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_global_pooling_gets_the_whole_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "DEFAULT_TILE", 32)
    model, image = Network(pooled=True).eval(), photograph(40, 100)
    assert receptive_radius(model, scale=2) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(upscale(model, image, scale=2), whole(model, image))


def test_forced_tiles_warn_when_the_network_sees_everything() -> None:
    model, image = Network(pooled=True).eval(), photograph(40, 100)
    with pytest.warns(UserWarning, match=r"sees the whole image.*differs"):
        result = upscale(model, image, scale=2, tile=32)
    assert result.shape == (3, 80, 200)
    assert not torch.equal(result, whole(model, image))


def test_overlap_that_is_too_small_warns_and_differs() -> None:
    model, image = Network().eval(), photograph(40, 100)
    with pytest.warns(UserWarning, match="sees 9 pixels around each, but tiles overlap by 0"):
        result = upscale(model, image, scale=2, tile=16, overlap=0)
    assert not torch.equal(result, whole(model, image))


def test_image_that_fits_a_tile_is_not_probed() -> None:
    model, image = Network().eval(), photograph(16, 16)
    calls: list[torch.Size] = []
    model.register_forward_pre_hook(lambda _, inputs: calls.append(inputs[0].shape))
    upscale(model, image, scale=2, tile=16, overlap=0)
    assert calls == [torch.Size((1, 3, 16, 16))]


@pytest.mark.parametrize(
    "image",
    [
        torch.zeros(3, 8, 8),
        torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
        torch.zeros(1, 8, 8, dtype=torch.uint8),
    ],
)
def test_only_uint8_rgb_is_taken(image: Tensor) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        upscale(Network(), image, scale=2)


@pytest.mark.parametrize(("tile", "overlap"), [(0, None), (-3, None), (16, -1)])
def test_impossible_tiles_are_refused(tile: int, overlap: int | None) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        upscale(Network(), photograph(8, 8), scale=2, tile=tile, overlap=overlap)


def test_wrong_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="not ×4"):
        upscale(Network(2), photograph(8, 8), scale=4)


def test_bicubic_is_the_resize_of_the_data() -> None:
    image = photograph(9, 14)
    assert torch.equal(bicubic(image, 3), resize(image, 3))
    assert bicubic(image, 3).shape == (3, 27, 42)
