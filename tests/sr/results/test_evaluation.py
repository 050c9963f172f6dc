"""Measuring whole images and crops."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn

from corenas.values.result import finite
from corenas_sr.data.datasets import ImagePair
from corenas_sr.metric import ImageMetric, MetricInfo
from corenas_sr.models.inference import bicubic
from corenas_sr.results.evaluation import Crops, Evaluation, evaluate, validator

SCALE = 2


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)


def coordinates(height: int, width: int, number: int) -> Tensor:
    """Return an image whose pixels say where they are, and in which image."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([rows, columns, torch.full_like(rows, number)]).to(torch.uint8)


def located_pair(height: int, width: int, number: int) -> ImagePair:
    """Return a pair whose high-resolution pixels repeat those of the low resolution."""
    low = coordinates(height, width, number)
    high = low.repeat_interleave(SCALE, 1).repeat_interleave(SCALE, 2)
    return ImagePair(f"image{number}", low, high)


class MeanDifference:
    """Looks at what it is given."""

    info = MetricInfo("lower", "full", protocol="mean absolute difference")

    def __call__(self, image: Tensor, reference: Tensor | None, *, scale: int) -> Tensor:
        assert image.dtype == torch.uint8
        assert reference is not None
        return (image.double() - reference.double()).abs().mean((1, 2, 3))


METRICS: dict[str, ImageMetric] = {"difference": MeanDifference()}


class Enlarge(nn.Module):
    """Repeats pixels; notes in which mode it was used."""

    def __init__(self) -> None:
        super().__init__()
        self.modes: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append(self.training)
        return x.repeat_interleave(SCALE, 2).repeat_interleave(SCALE, 3)


def test_mean_is_over_images_and_not_over_pixels() -> None:
    pairs = [
        ImagePair("small", picture(4, 4, 1), picture(8, 8)),
        ImagePair("large", picture(20, 30, 1), picture(40, 60)),
    ]
    result = evaluate(lambda pair: bicubic(pair.lr, SCALE), pairs, METRICS, scale=SCALE)
    values = {
        pair.name: float((bicubic(pair.lr, SCALE).double() - pair.hr.double()).abs().mean())
        for pair in pairs
    }
    assert {name: v["difference"] for name, v in result.images.items()} == pytest.approx(values)
    assert result.mean["difference"] == pytest.approx(sum(values.values()) / 2)
    assert result.to_json() == {
        "mean": result.mean,
        "images": [{"name": name, **result.images[name]} for name in ("small", "large")],
        "protocol": {"difference": "mean absolute difference"},
    }


def test_what_is_not_finite_is_null_in_json() -> None:
    values = {"a": {"psnr": float("inf")}, "b": {"psnr": 30.0}}
    written = Evaluation(values, {"psnr": "Y"}).to_json()
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert written["images"] == [{"name": "a", "psnr": None}, {"name": "b", "psnr": 30.0}]
    assert written["mean"] == {"psnr": None}
    assert finite({"x": float("nan"), "y": -1.0}) == {"x": None, "y": -1.0}


def test_validator_measures_in_evaluation_mode_and_goes_back() -> None:
    model = Enlarge().train()
    pairs = [located_pair(6, 7, 0), located_pair(9, 5, 1)]
    validate = validator(pairs, METRICS, scale=SCALE, device="cpu")
    assert validate(model) == {"difference": 0.0}
    assert model.modes == [False, False]
    assert model.training


def test_validator_goes_back_to_training_after_an_error() -> None:
    model = nn.Identity().train()
    with pytest.raises(ValueError, match="the network makes"):
        validator([located_pair(6, 7, 0)], METRICS, scale=SCALE, device="cpu")(model)
    assert model.training


@pytest.mark.parametrize("images", [1, 2, 3, 7])
def test_crops_are_aligned_inside_and_spread_over_every_image(images: int) -> None:
    pairs = [located_pair(60, 90, number) for number in range(images)]
    crops = Crops.spread(pairs, size=20, count=12 * images, scale=SCALE)
    assert crops.lr.shape == (12 * images, 3, 20, 20)
    enlarged = crops.lr.repeat_interleave(SCALE, 2).repeat_interleave(SCALE, 3)
    assert torch.equal(crops.hr, enlarged)
    corners = crops.lr[:, :, 0, 0]
    for number in range(images):
        rows, columns, _ = corners[corners[:, 2] == number].T.tolist()
        assert len(rows) == 12
        for positions, last in ((rows, 40), (columns, 70)):
            # Each third of where a crop can begin has its share, and the ends are almost reached.
            thirds = [min(2, 3 * position // (last + 1)) for position in positions]
            assert min(thirds.count(third) for third in range(3)) >= 2
            assert min(positions) <= 0.2 * last
            assert max(positions) >= 0.8 * last


def test_crops_are_the_same_every_time() -> None:
    pairs = [located_pair(60, 90, number) for number in range(2)]
    first, again = (Crops.spread(pairs, size=20, count=5, scale=SCALE) for _ in range(2))
    assert torch.equal(first.lr, again.lr)


def test_crops_are_no_larger_than_the_smallest_image() -> None:
    pairs = [located_pair(60, 90, 0), located_pair(17, 40, 1)]
    crops = Crops.spread(pairs, size=48, count=4, scale=SCALE)
    assert crops.lr.shape == (4, 3, 17, 17)
    assert crops.hr.shape == (4, 3, 34, 34)


def test_crops_are_measured_quantised_and_in_evaluation_mode() -> None:
    class Brighter(Enlarge):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + 0.4  # gone after rounding

    model = Brighter().train()
    crops = Crops.spread([located_pair(60, 90, 3)], size=20, count=5, scale=SCALE)
    assert crops.measure(model, METRICS, scale=SCALE, device="cpu") == {"difference": 0.0}
    assert (model.modes, model.training) == ([False], True)


def test_crops_of_one_colour_are_passed_over_while_there_are_others() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.full((3, 128, 128), 255, dtype=torch.uint8)
    image[:, :40] = torch.randint(0, 256, (3, 40, 128), generator=generator, dtype=torch.uint8)
    pair = ImagePair("half white", image[:, ::2, ::2], image)
    crops = Crops.spread([pair], size=16, count=6, scale=2)
    assert len(crops.hr) == 6
    assert all(high.unique().numel() > 1 for high in crops.hr)
