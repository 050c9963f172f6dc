"""NIQE, the natural image quality evaluator (Mittal, Soundararajan and Bovik, IEEE SPL 2013).

It follows the code that the authors released (LIVE), in float64: flat regions are sensitive to
rounding.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from fractions import Fraction
from functools import cache

import torch
import torch.nn.functional as F
from attrs import evolve, frozen
from torch import Tensor

from corenas.errors import DataError, UnknownName
from corenas.names import nearest
from corenas_metrics._filtering import tiles
from corenas_metrics._pairs import check_quantised
from corenas_metrics._pristine import PristineModel, live_model, load_model
from corenas_metrics._protocols import NIQE_PROTOCOLS
from corenas_metrics.config import NIQE, NiqeConfig
from corenas_sr.data.images import luma, resize
from corenas_sr.metric import MetricInfo

_RADIUS = 3
_OFFSETS = range(-_RADIUS, _RADIUS + 1)


def _gaussian_weights(sigma: float) -> dict[int, float]:
    """Return the weight at each squared distance; all 49 add up to one, to the last bit."""
    squares = [x * x + y * y for x in _OFFSETS for y in _OFFSETS]
    weights = {square: math.exp(-square / (2 * sigma**2)) for square in squares}
    total = math.fsum(weights[square] for square in squares)
    return {square: weight / total for square, weight in weights.items()}


_WEIGHTS = _gaussian_weights(7 / 6)
# Of the release: side of a block, share of the sharpest block's deviation that a pristine block
# must have, and the neighbours in four directions.
_BLOCK = 96
_SHARP = 0.75
_SHIFTS = ((0, 1), (1, 0), (1, 1), (-1, 1))
# Below this, the covariance of 36 features rests on too few rows to be trusted.
_FEW_BLOCKS = 10
# MATLAB's rgb2gray: the first row of the inverse of its NTSC matrix.
_GREY = (0.298936021293775, 0.587043074451121, 0.114020904255103)


def niqe(image: Tensor, *, protocol: str = "live", model: PristineModel | None = None) -> Tensor:
    """Distance of each image's statistics from those of pristine photographs (lower is better).

    Args:
        image: Quantised images in 0..255, shape (N, 3, H, W), uint8 or whole numbers in floating
            point.
        protocol: ``live``, ``y`` or ``pirm``; see `NIQE_PROTOCOLS`.
        model: Statistics of pristine photographs; LIVE's when None.

    Returns:
        One float64 value per image, shape (N,).

    Raises:
        UnknownName: There is no such protocol.
        ValueError: The shape is wrong, or values are not whole numbers in 0..255.
        DataError: An image has fewer than two blocks of 96x96 pixels, or less than two with any
            texture.
    """
    planes = _grey(image, protocol)
    blocks = math.prod(size // _BLOCK for size in planes.shape[-2:])
    if blocks < 2:
        raise DataError(
            f"an image of {_size(image)} is too small for NIQE: under the protocol {protocol!r} it "
            f"has {blocks} blocks of {_BLOCK}x{_BLOCK}, and two are needed"
        )
    if blocks < _FEW_BLOCKS:
        warnings.warn(
            f"NIQE of images with fewer than {_FEW_BLOCKS} blocks of {_BLOCK}x{_BLOCK} pixels is "
            "unreliable",
            stacklevel=2,
        )
    model = model or live_model()
    return torch.stack([_distance(_features(plane)[0], model) for plane in planes])


def fit_pristine(images: Iterable[Tensor], *, protocol: str = "live") -> PristineModel:
    """Fit the model of pristine photographs to the sharpest blocks of each image.

    A block is used when its mean local deviation exceeds 0.75 times that of the image's sharpest
    block, as in LIVE's ``estimatemodelparam.m``.

    Args:
        images: Quantised photographs, each of shape (3, H, W); sizes may differ.
        protocol: How they become grey; the model is for images measured in the same way.

    Raises:
        UnknownName: There is no such protocol.
        ValueError: A shape is wrong, or values are not whole numbers in 0..255.
        DataError: An image has no block of 96x96 pixels, or all have less than two sharp blocks
            with any texture.
    """
    sharpest = []
    for image in images:
        plane = _grey(image[None], protocol)[0]
        if min(plane.shape) < _BLOCK:
            raise DataError(f"an image of {_size(image)} has no block of {_BLOCK}x{_BLOCK}")
        features, sharpness = _features(plane)
        sharpest.append(features[sharpness > _SHARP * sharpness.max()])
    if not sharpest:
        raise DataError("a model of pristine photographs needs at least one image")
    return PristineModel(*_moments(torch.cat(sharpest)))


def _grey(image: Tensor, protocol: str) -> Tensor:
    """Return one plane of whole numbers per image, float64 (N, H, W), without the shave."""
    if protocol not in NIQE_PROTOCOLS:
        raise UnknownName(f"unknown protocol {protocol!r}{nearest(protocol, NIQE_PROTOCOLS)}")
    check_quantised(image)
    if NIQE_PROTOCOLS[protocol].luma:
        grey = luma(image.double(), rounded=True)[:, 0]
    else:
        weights = torch.tensor(_GREY, dtype=torch.float64, device=image.device)
        # MATLAB rounds halves up; torch.round would take them to the even neighbour.
        grey = torch.floor(torch.einsum("nchw,c->nhw", image.double(), weights) + 0.5)
    shave = NIQE_PROTOCOLS[protocol].shave
    return grey[:, shave : grey.shape[1] - shave, shave : grey.shape[2] - shave]


def _size(image: Tensor) -> str:
    return f"{image.shape[-1]}x{image.shape[-2]} pixels"


def _features(plane: Tensor) -> tuple[Tensor, Tensor]:
    """Return the features (blocks, 36) and the sharpness (blocks,) of one plane (H, W)."""
    plane = plane[: plane.shape[0] // _BLOCK * _BLOCK, : plane.shape[1] // _BLOCK * _BLOCK]
    normalised, deviation = _normalise(plane)
    sharpness = _blocks(deviation, _BLOCK).mean((-2, -1))
    # The release halves the image in floating point, without rounding to whole numbers.
    half, _ = _normalise(resize(plane, Fraction(1, 2)))
    fine = _block_features(_blocks(normalised, _BLOCK))
    coarse = _block_features(_blocks(half, _BLOCK // 2))
    return torch.cat((fine, coarse), dim=1), sharpness


def _normalise(plane: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean-subtracted, contrast-normalised plane (Eq. 1) and the local deviation."""
    padded = F.pad(plane[None], (_RADIUS,) * 4, mode="replicate")[0]
    margin = 2 * _RADIUS
    mean, mean_square = smoothed = plane.new_empty(2, *plane.shape)
    for rows, columns in tiles(*padded.shape, overlap=margin):
        tile = padded[rows, columns]
        inner = slice(rows.start, rows.stop - margin), slice(columns.start, columns.stop - margin)
        smoothed[:, *inner] = _smooth(torch.stack((tile, tile.square())))
    deviation = (mean_square - mean.square()).abs().sqrt()
    return (plane - mean) / (deviation + 1), deviation


def _smooth(padded: Tensor) -> Tensor:
    """Filter with a Gaussian of 7x7 and sigma 7/6, without padding.

    It is not separable. Products are added one by one, column by column, in the order of the
    release under Octave: where an image is flat, subtracting its mean leaves only rounding errors,
    and NIQE counts their signs.
    """
    height, width = (size - 2 * _RADIUS for size in padded.shape[-2:])
    products = {square: padded * weight for square, weight in _WEIGHTS.items()}
    smoothed = padded.new_zeros(*padded.shape[:-2], height, width)
    for x in _OFFSETS:
        for y in _OFFSETS:
            shifted = products[x * x + y * y].narrow(-1, _RADIUS - x, width)
            smoothed += shifted.narrow(-2, _RADIUS - y, height)
    return smoothed


def _blocks(plane: Tensor, size: int) -> Tensor:
    """Cut a plane into blocks of shape (blocks, size, size)."""
    rows, columns = plane.shape[0] // size, plane.shape[1] // size
    return plane.reshape(rows, size, columns, size).transpose(1, 2).reshape(-1, size, size)


def _block_features(blocks: Tensor) -> Tensor:
    """Fit each block, and its products with its neighbours in four directions: (blocks, 18)."""
    alpha, left, right = _fit_aggd(blocks)
    features = [alpha, (left + right) / 2]
    for shift in _SHIFTS:
        # Inside each block, as the release shifts circularly: borders meet the opposite side.
        alpha, left, right = _fit_aggd(blocks * blocks.roll(shift, dims=(-2, -1)))
        mean = (right - left) * torch.exp(torch.lgamma(2 / alpha) - torch.lgamma(1 / alpha))
        features += [alpha, mean, left, right]
    return torch.stack(features, dim=1)


def _fit_aggd(blocks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Fit an asymmetric generalised Gaussian to each block by its moments (Eq. 4 to 8).

    Returns:
        Shape alpha, left and right scale beta, each (blocks,); a side without values is nan.
    """
    values = blocks.flatten(1)
    negative, positive = values.clamp(max=0), values.clamp(min=0)
    left_square, right_square = _dot(negative), _dot(positive)
    left = (left_square / (values < 0).sum(1)).sqrt()
    right = (right_square / (values > 0).sum(1)).sqrt()
    absolute = positive.sum(1) - negative.sum(1)
    ratio = absolute.square() / (values.shape[1] * (left_square + right_square))
    skew = left / right
    ratio = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    alpha = _shape(ratio)
    scale = torch.exp((torch.lgamma(1 / alpha) - torch.lgamma(3 / alpha)) / 2)
    return alpha, left * scale, right * scale


def _dot(values: Tensor) -> Tensor:
    squares: Tensor = torch.linalg.vecdot(values, values)
    return squares


def _shape(ratio: Tensor) -> Tensor:
    """Return the grid's shape whose moment ratio is the nearest; the first one for nan."""
    ratios, shapes = (each.to(ratio.device) for each in _grid())
    above = torch.searchsorted(ratios, ratio).clamp(1, len(ratios) - 1)
    below_is_nearer = ratio - ratios[above - 1] <= ratios[above] - ratio
    shape = torch.where(below_is_nearer, shapes[above - 1], shapes[above])
    return torch.where(ratio.isnan(), shapes[0], shape)


@cache
def _grid() -> tuple[Tensor, Tensor]:
    """Return gamma(2/a)^2 / (gamma(1/a) gamma(3/a)), which rises with a, and the shapes a."""
    # The release's grid, 0.2 to 10 by 0.001: a finer fit would give other features.
    shapes = torch.arange(200, 10001, dtype=torch.float64) / 1000
    first, second, third = (torch.lgamma(k / shapes) for k in (1, 2, 3))
    return torch.exp(2 * second - first - third), shapes


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return each column's mean over all but nan, and the covariance of the rows without nan."""
    whole = features[~features.isnan().any(1)]
    if len(whole) < 2:
        raise DataError(
            f"NIQE needs two blocks with texture; {len(whole)} of {len(features)} have any"
        )
    return features.nanmean(0), torch.cov(whole.T)


def _distance(features: Tensor, model: PristineModel) -> Tensor:
    """Return the distance between two multivariate Gaussians (Eq. 10)."""
    mean, covariance = _moments(features)
    difference = model.mean.to(mean.device) - mean
    pooled = (model.covariance.to(mean.device) + covariance) / 2
    # The covariance may be singular: an image can have fewer blocks than features.
    square: Tensor = difference @ torch.linalg.pinv(pooled) @ difference
    return square.sqrt()


@frozen
class Niqe:
    """The component ``niqe``."""

    protocol: str
    model: PristineModel
    info: MetricInfo

    def __call__(self, image: Tensor, reference: Tensor | None, *, scale: int) -> Tensor:
        """Measure each image of a batch; neither a ground truth nor the scale is used."""
        return niqe(image, protocol=self.protocol, model=self.model)


def build(config: NiqeConfig) -> Niqe:
    """Build the component ``niqe``.

    Raises:
        DataError: The model's file cannot be used.
    """
    text = NIQE_PROTOCOLS[config.protocol].text
    if not config.model:
        return Niqe(config.protocol, live_model(), evolve(NIQE, protocol=text))
    model = load_model(config.model)
    own = evolve(NIQE, protocol=f"{text}, pristine model {config.model}")
    return Niqe(config.protocol, model, own)
