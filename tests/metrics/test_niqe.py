from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import correlate
from scipy.special import gamma
from torch import Tensor

from corenas import DataError, UnknownName
from corenas_metrics._pristine import PristineModel, live_model, load_model
from corenas_metrics._protocols import NIQE_PROTOCOLS
from corenas_metrics.config import NiqeConfig
from corenas_metrics.niqe import build, fit_pristine, niqe
from corenas_sr.data.images import luma

Photograph = Callable[[str], Tensor]
Array = NDArray[np.float64]

# Under the protocols live, y and pirm: the authors' code run by GNU Octave.
REFERENCE = {
    "astronaut_bic4": (7.3079383802, 7.2335558118, 7.1742875824),
    "astronaut_block4": (7.2701200593, 7.2300133678, 7.4699110347),
    "astronaut_hash20": (7.4444567814, 7.3002425990, 7.2598594373),
    "astronaut": (3.0666374996, 3.1004515332, 3.0205269176),
    "china_bic4": (7.1128509791, 7.1031995933, 7.1645461413),
    "china_block4": (9.1497957122, 9.5338531634, 9.5602163085),
    "china_hash20": (7.2455962476, 7.1447426783, 7.1771211448),
    "china": (4.2137093322, 4.2733624015, 4.2293085359),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_niqe_equals_the_reference_values(name: str, photograph: Photograph) -> None:
    image = photograph(name)
    measured = [niqe(image, protocol=protocol).item() for protocol in ("live", "y", "pirm")]
    tolerance = 0.005 if "_" in name else 0.002
    assert measured == pytest.approx(REFERENCE[name], abs=tolerance)


def textured(*shape: int, seed: int = 5) -> Tensor:
    """Smooth noise plus fine noise, without a flat place."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 8, 8, generator=generator, dtype=torch.float64) * 150 + 30
    smooth = torch.nn.functional.interpolate(coarse, shape, mode="bicubic")
    noise = torch.randn(1, 3, *shape, generator=generator, dtype=torch.float64) * 12
    return (smooth + noise).clamp(0, 255).round().to(torch.uint8)


# The authors' release, statement by statement and block by block.


def slow_aggd(values: Array) -> tuple[float, float, float]:
    grid = np.arange(200, 10001) / 1000
    ratios = gamma(2 / grid) ** 2 / (gamma(1 / grid) * gamma(3 / grid))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the mean of nothing is nan there as well
        left = np.sqrt(np.mean(values[values < 0] ** 2))
        right = np.sqrt(np.mean(values[values > 0] ** 2))
        skew = left / right
        ratio = np.mean(np.abs(values)) ** 2 / np.mean(values**2)
        ratio = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    alpha = grid[np.argmin((ratios - ratio) ** 2)]
    scale = np.sqrt(gamma(1 / alpha) / gamma(3 / alpha))
    return alpha, left * scale, right * scale


def slow_features(block: Array) -> list[float]:
    alpha, left, right = slow_aggd(block.ravel())
    features = [alpha, (left + right) / 2]
    for shift in ((0, 1), (1, 0), (1, 1), (-1, 1)):
        alpha, left, right = slow_aggd((block * np.roll(block, shift, axis=(0, 1))).ravel())
        features += [alpha, (right - left) * gamma(2 / alpha) / gamma(1 / alpha), left, right]
    return features


def half_size(plane: Array) -> Array:
    for _ in range(2):
        padded = np.pad(plane, ((4, 4), (0, 0)), mode="symmetric")
        distances = np.abs(np.arange(-3.5, 4)) / 2
        weights = np.where(
            distances <= 1,
            1.5 * distances**3 - 2.5 * distances**2 + 1,
            -0.5 * distances**3 + 2.5 * distances**2 - 4 * distances + 2,
        )
        rows = range(len(plane) // 2)
        plane = np.stack(
            [weights @ padded[2 * row + 1 : 2 * row + 9] / weights.sum() for row in rows]
        ).T
    return plane


def slow_block_features(plane: Array) -> tuple[Array, Array]:
    axis = np.arange(-3, 4.0)
    window = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * (7 / 6) ** 2))
    window /= window.sum()
    rows, columns = plane.shape[0] // 96, plane.shape[1] // 96
    plane = plane[: rows * 96, : columns * 96]
    scales, sharpness = [], []
    for size in (96, 48):
        mean = correlate(plane, window, mode="nearest")
        deviation = np.sqrt(np.abs(correlate(plane * plane, window, mode="nearest") - mean * mean))
        normalised = (plane - mean) / (deviation + 1)
        places = [
            (slice(i * size, i * size + size), slice(j * size, j * size + size))
            for i in range(rows)
            for j in range(columns)
        ]
        scales.append([slow_features(normalised[place]) for place in places])
        if size == 96:
            sharpness = [deviation[place].mean() for place in places]
        plane = half_size(plane)
    return np.hstack(scales), np.array(sharpness)


def slow_moments(features: Array) -> tuple[Array, Array]:
    whole = features[~np.isnan(features).any(axis=1)]
    return np.nanmean(features, axis=0), np.cov(whole, rowvar=False)


def slow_niqe(plane: Array) -> float:
    mean, covariance = slow_moments(slow_block_features(plane)[0])
    model = live_model()
    difference = model.mean.numpy() - mean
    pooled = (model.covariance.numpy() + covariance) / 2
    return float(np.sqrt(difference @ np.linalg.pinv(pooled) @ difference))


def grey(image: Tensor) -> Array:
    """MATLAB's rgb2gray of uint8."""
    weights = np.array([0.298936021293775, 0.587043074451121, 0.114020904255103])
    return np.floor(np.tensordot(weights, image[0].double().numpy(), 1) + 0.5)


def test_niqe_equals_the_slow_transcription() -> None:
    image = textured(400, 517)
    assert niqe(image).item() == pytest.approx(slow_niqe(grey(image)), abs=1e-9)
    y = luma(image, rounded=True)[0, 0].numpy()
    assert niqe(image, protocol="y").item() == pytest.approx(slow_niqe(y), abs=1e-9)
    shaved = y[4:-4, 4:-4]
    assert niqe(image, protocol="pirm").item() == pytest.approx(slow_niqe(shaved), abs=1e-9)


def test_blocks_without_texture_count_as_in_the_slow_transcription() -> None:
    image = textured(300, 480)
    image[..., :104, :200] = 0
    expected = slow_niqe(grey(image))
    assert np.isnan(slow_block_features(grey(image))[0]).any()
    assert niqe(image).item() == pytest.approx(expected, abs=1e-9)


def test_a_pristine_model_is_fitted_to_the_sharpest_blocks() -> None:
    images = [textured(300, 320, seed=1), textured(200, 400, seed=2)]
    images[0][..., :150, :] //= 3
    chosen = []
    for image in images:
        features, sharpness = slow_block_features(grey(image))
        chosen.append(features[sharpness > 0.75 * sharpness.max()])
    assert len(np.vstack(chosen)) < 9 + 8
    mean, covariance = slow_moments(np.vstack(chosen))
    model = fit_pristine(image[0] for image in images)
    np.testing.assert_allclose(model.mean.numpy(), mean, rtol=0, atol=1e-9)
    np.testing.assert_allclose(model.covariance.numpy(), covariance, rtol=0, atol=1e-9)


def test_images_are_near_the_model_that_was_fitted_to_them() -> None:
    image = textured(400, 400)
    own = fit_pristine([image[0]])
    assert niqe(image, model=own).item() < 0.5 * niqe(image).item()


def test_a_model_is_read_back_equal(tmp_path: Path) -> None:
    model = fit_pristine([textured(300, 300)[0]])
    model.save(tmp_path / "own.json")
    read = load_model(tmp_path / "own.json")
    assert torch.equal(read.mean, model.mean)
    assert torch.equal(read.covariance, model.covariance)


def test_the_component_takes_a_model_from_a_file(tmp_path: Path) -> None:
    image = textured(400, 400)
    model = fit_pristine([image[0]])
    path = tmp_path / "own.json"
    model.save(path)
    metric = build(NiqeConfig(protocol="y", model=path))
    expected = niqe(image, protocol="y", model=model)
    assert metric(image, None, scale=4).tolist() == expected.tolist()
    assert metric.info.protocol == f"{NIQE_PROTOCOLS['y'].text}, pristine model {path}"


@pytest.mark.parametrize("protocol", NIQE_PROTOCOLS)
def test_the_component_follows_its_protocol(protocol: str) -> None:
    image = textured(400, 400)
    metric = build(NiqeConfig(protocol=protocol))
    assert metric(image, None, scale=4).tolist() == niqe(image, protocol=protocol).tolist()
    assert metric.info.protocol == NIQE_PROTOCOLS[protocol].text
    assert (metric.info.better, metric.info.reference) == ("lower", "none")


@pytest.mark.parametrize(
    "content",
    [
        "not JSON",
        "[]",
        "{}",
        json.dumps({"mean": [0.0] * 36, "covariance": [[0.0] * 36] * 35}),
        json.dumps({"mean": [0.0] * 35, "covariance": [[0.0] * 36] * 36}),
        json.dumps({"mean": ["a"] * 36, "covariance": [[0.0] * 36] * 36}),
        json.dumps({"mean": [float("nan")] * 36, "covariance": [[0.0] * 36] * 36}),
    ],
)
def test_what_is_no_model_is_refused_by_name(content: str, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"model\.json: not a model of pristine photographs"):
        build(NiqeConfig(model=path))


def test_a_model_that_is_missing_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json: No such file"):
        load_model(tmp_path / "none.json")


def test_the_model_of_the_release_comes_with_its_notice() -> None:
    model = live_model()
    assert model.mean[:2].tolist() == pytest.approx([2.60131368, 0.90570272], abs=1e-8)
    assert torch.equal(model.covariance, model.covariance.T)
    notice = files("corenas_metrics").joinpath("data/NOTICE").read_text(encoding="utf-8")
    assert "The University of Texas at Austin" in notice
    assert "Permission is hereby granted" in notice


def test_each_image_of_a_batch_has_its_own_niqe() -> None:
    images = torch.cat([textured(400, 400, seed=seed) for seed in range(3)])
    alone = [niqe(image[None]).item() for image in images]
    together = niqe(images)
    assert together.dtype == torch.float64
    assert together.tolist() == alone
    assert len(set(alone)) == 3


def test_few_blocks_warn_once_for_a_batch() -> None:
    images = torch.cat([textured(300, 288, seed=seed) for seed in range(2)])
    with pytest.warns(UserWarning, match="fewer than 10 blocks") as caught:
        niqe(images)
    assert len(caught) == 1


def test_ten_blocks_are_enough() -> None:
    assert niqe(textured(192, 480)).isfinite()


@pytest.mark.parametrize(
    ("height", "width", "protocol"), [(95, 400, "live"), (96, 191, "live"), (103, 400, "pirm")]
)
def test_an_image_with_fewer_than_two_blocks_is_refused(
    height: int, width: int, protocol: str
) -> None:
    with pytest.raises(DataError, match=f"{width}x{height} pixels is too small.*two are needed"):
        niqe(textured(height, width), protocol=protocol)


def test_an_image_smaller_than_the_shave_is_refused() -> None:
    with pytest.raises(DataError, match="6x6 pixels is too small"):
        niqe(torch.zeros(1, 3, 6, 6, dtype=torch.uint8), protocol="pirm")


@pytest.mark.parametrize("value", [0, 77, 128, 255])
def test_a_flat_image_is_refused(value: int) -> None:
    with pytest.raises(DataError, match="two blocks with texture"):
        niqe(torch.full((1, 3, 200, 600), value, dtype=torch.uint8))


@pytest.mark.parametrize("bad", [float("nan"), 0.25, 256.0])
def test_what_was_not_quantised_is_refused(bad: float) -> None:
    image = textured(200, 500).float()
    image[0, 0, 0, 0] = bad
    with pytest.raises(ValueError, match="quantise"):
        niqe(image)


def test_whole_numbers_in_floating_point_count_as_quantised() -> None:
    image = textured(200, 500)
    assert niqe(image.float()).tolist() == niqe(image).tolist()


def test_an_unknown_protocol_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="'prim'; did you mean 'pirm'"):
        niqe(textured(200, 500), protocol="prim")


def test_a_photograph_without_a_block_cannot_be_fitted() -> None:
    with pytest.raises(DataError, match="50x200 pixels has no block of 96x96"):
        fit_pristine([textured(200, 50)[0]])
    with pytest.raises(DataError, match="at least one image"):
        fit_pristine([])


def test_a_model_needs_two_blocks() -> None:
    with pytest.raises(DataError, match="two blocks with texture; 1 of 1"):
        fit_pristine([textured(100, 100)[0]])
    assert isinstance(fit_pristine([textured(200, 200)[0]]), PristineModel)
