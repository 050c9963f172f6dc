import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from corenas_oneshot.relaxing.sparsestmax import (
    NORMALIZERS,
    radius_at,
    softmax,
    sparsemax,
    sparsestmax,
)

VECTORS = json.loads((Path(__file__).parent / "data/sparsestmax.json").read_text())
CENTERS = ("simplex", "support")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def random_logits(rows: int, size: int, *, seed: int = 0, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(rows, size, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_all_published_vectors_come_out(center, dtype):
    assert len(VECTORS) == 96
    for vector in VECTORS:
        weights = sparsestmax(
            torch.tensor(vector["logits"], dtype=dtype), vector["radius"], center=center
        )
        expected = torch.tensor(vector[center], dtype=dtype)
        torch.testing.assert_close(weights, expected, rtol=0, atol=1e-6, msg=str(vector))


class Bisection:
    """The second algorithm: sparsemax by bisection of its threshold, and the scale s likewise.

    Rows of different lengths are padded with logits far below the others.
    """

    @staticmethod
    def sparsemax(logits: Tensor) -> Tensor:
        low, high = logits.amax(-1, keepdim=True) - 1, logits.amax(-1, keepdim=True)
        for _ in range(60):
            middle = (low + high) / 2
            too_much = (logits - middle).clamp(min=0).sum(-1, keepdim=True) > 1
            low, high = torch.where(too_much, middle, low), torch.where(too_much, high, middle)
        return (logits - (low + high) / 2).clamp(min=0)

    @classmethod
    def sparsestmax(cls, logits: Tensor, face: Tensor, radius: Tensor) -> Tensor:
        """Work in the face of the simplex that the mask ``face`` spans, from its center."""
        logits = torch.where(face, logits - logits.amax(-1, keepdim=True), -1e9)
        center = face / face.sum(-1, keepdim=True)
        top = logits.topk(2, dim=-1).values
        low, high = torch.ones_like(radius), (2 / (top[:, :1] - top[:, 1:])).clamp(min=1)
        for _ in range(100):
            middle = (low + high) / 2
            outside = (cls.sparsemax(middle * logits) - center).norm(dim=-1, keepdim=True) >= radius
            low, high = torch.where(outside, low, middle), torch.where(outside, middle, high)
        nearest = cls.sparsemax(logits)
        outside = (nearest - center).norm(dim=-1, keepdim=True) >= radius
        return torch.where(outside, nearest, cls.sparsemax(high * logits))


@pytest.mark.parametrize("center", CENTERS)
def test_closed_form_matches_bisection_on_a_thousand_inputs(center):
    sizes = torch.arange(1000) % 63 + 2
    present = torch.arange(64) < sizes[:, None]
    logits = random_logits(1000, 64) * torch.logspace(-2, 0, 1000, dtype=torch.float64)[:, None]
    radius = torch.linspace(0, 1, 1000, dtype=torch.float64)[torch.randperm(1000), None]

    face = present
    if center == "support":
        face = Bisection.sparsemax(logits.masked_fill(~present, -1e9)) > 0
    expected = Bisection.sparsestmax(logits, face, radius)

    for row, size in enumerate(sizes.tolist()):
        weights = sparsestmax(logits[row, :size], radius[row].item(), center=center)
        torch.testing.assert_close(weights, expected[row, :size], rtol=0, atol=1e-7)


@pytest.mark.parametrize("radius", [0.0, 0.3, 0.7, 0.95, 1.0])
@pytest.mark.parametrize("size", [2, 3, 4, 5, 55])
class TestProperties:
    @pytest.mark.parametrize("center", CENTERS)
    def test_result_is_on_the_simplex(self, size, radius, center):
        weights = sparsestmax(random_logits(100, size), radius, center=center)
        assert weights.min() >= 0
        torch.testing.assert_close(weights.sum(-1), torch.ones(100, dtype=torch.float64))

    def test_result_is_outside_the_sphere(self, size, radius):
        weights = sparsestmax(random_logits(100, size), radius)
        reachable = min(radius, math.sqrt((size - 1) / size))
        assert (weights - 1 / size).norm(dim=-1).min() >= reachable - 1e-9

    @pytest.mark.parametrize("center", CENTERS)
    def test_a_constant_added_to_the_logits_changes_nothing(self, size, radius, center):
        logits = random_logits(100, size)
        torch.testing.assert_close(
            sparsestmax(logits + 3, radius, center=center),
            sparsestmax(logits, radius, center=center),
        )

    @pytest.mark.parametrize("center", CENTERS)
    def test_permuting_the_logits_permutes_the_result(self, size, radius, center):
        logits, order = random_logits(100, size), torch.randperm(size)
        torch.testing.assert_close(
            sparsestmax(logits[:, order], radius, center=center),
            sparsestmax(logits, radius, center=center)[:, order],
        )

    @pytest.mark.parametrize("center", CENTERS)
    def test_a_larger_logit_has_no_smaller_weight(self, size, radius, center):
        ascending = random_logits(100, size).sort(dim=-1).values
        assert sparsestmax(ascending, radius, center=center).diff(dim=-1).min() >= -1e-12


@pytest.mark.parametrize("center", CENTERS)
def test_radius_zero_is_sparsemax(center):
    logits = random_logits(200, 6)
    torch.testing.assert_close(sparsestmax(logits, 0.0, center=center), Bisection.sparsemax(logits))
    torch.testing.assert_close(sparsemax(logits), Bisection.sparsemax(logits))


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("size", [2, 3, 4, 5, 55])
def test_largest_possible_radius_is_one_hot(size, center):
    logits = random_logits(200, size)
    for radius in (math.sqrt((size - 1) / size), 1.0, 2.0):
        weights = sparsestmax(logits, radius, center=center)
        one_hot = torch.nn.functional.one_hot(logits.argmax(-1), size).double()
        torch.testing.assert_close(weights, one_hot, rtol=0, atol=1e-7)


def test_rows_of_any_shape_are_independent():
    logits = random_logits(24, 5)
    rows = torch.stack([sparsestmax(row, 0.6) for row in logits])
    for shape in [(24, 5), (4, 6, 5), (2, 3, 4, 5)]:
        torch.testing.assert_close(sparsestmax(logits.view(shape), 0.6), rows.view(shape))


def far_from_kinks(logits: Tensor, radius: float, center: str) -> bool:
    """Whether nearby inputs have the same support, and neither meet the sphere nor leave it."""
    nearby = logits + 1e-3 * random_logits(50, logits.numel(), seed=1)

    def signature(weights: Tensor, low: Tensor) -> Tensor:
        return torch.cat([weights > 0, (weights - low).abs().amax(-1, keepdim=True) < 1e-9], -1)

    found = signature(sparsestmax(nearby, radius, center=center), sparsemax(nearby))
    return bool((found == found[0]).all())


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("radius", [0.1, 0.35, 0.6, 0.8])
def test_gradient_matches_finite_differences(radius, center):
    checked = 0
    for seed in range(30):
        logits = random_logits(1, 2 + seed % 7, seed=seed, scale=0.5)[0].requires_grad_()
        if not far_from_kinks(logits.detach(), radius, center):
            continue
        assert torch.autograd.gradcheck(
            lambda z: sparsestmax(z, radius, center=center), logits, eps=1e-7, atol=1e-5, rtol=1e-4
        )
        checked += 1
    assert checked >= 20


def test_jacobian_is_symmetric_and_ignores_constants():
    for seed in range(20):
        logits = random_logits(1, 6, seed=seed, scale=0.3)[0]
        jacobian = torch.autograd.functional.jacobian(lambda z: sparsestmax(z, 0.5), logits)
        torch.testing.assert_close(jacobian, jacobian.T)
        torch.testing.assert_close(jacobian.sum(-1), torch.zeros(6, dtype=torch.float64))
        assert jacobian.abs().max() > 0


def test_a_chosen_row_is_frozen():
    logits = tensor(0.4, 0.1, 0.2).requires_grad_()
    (sparsestmax(logits, 1.0) * tensor(1, 2, 3)).sum().backward()
    assert logits.grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("radius", [0.0, 0.2, 0.6, 1.0])
@pytest.mark.parametrize(
    ("logits", "shared"),
    [
        ([0.3] * 55, [1 / 55] * 55),
        ([0.6, 0.6, 0.1], [0.5, 0.5, 0.0]),
        ([0.6, -5.0, 0.6, 0.6], [1 / 3, 0.0, 1 / 3, 1 / 3]),
    ],
)
def test_tied_logits_share_the_weight_with_the_gradient_of_sparsemax(
    logits, shared, radius, center
):
    tied = tensor(*logits).requires_grad_()
    weights = sparsestmax(tied, radius, center=center)
    torch.testing.assert_close(weights, tensor(*shared))

    downstream = random_logits(1, len(logits))[0]
    (gradient,) = torch.autograd.grad(weights @ downstream, tied)
    (expected,) = torch.autograd.grad(sparsemax(tied) @ downstream, tied)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("noise", [0.0, 1e-9, 1e-7])
def test_ties_up_to_rounding_have_no_exploding_gradient(noise):
    logits = (0.3 + noise * random_logits(1, 55)[0]).float().requires_grad_()
    (sparsestmax(logits, 0.5) * random_logits(1, 55, seed=1)[0].float()).sum().backward()
    assert logits.grad.isfinite().all()
    assert logits.grad.abs().max() < 5


def test_a_tie_inside_a_smaller_face_is_shared_too():
    logits = tensor(0.5, 0.5, 0.4).requires_grad_()
    weights = sparsestmax(logits, 0.7)
    torch.testing.assert_close(weights, tensor(0.5, 0.5, 0.0))
    (gradient,) = torch.autograd.grad(weights[0], logits)
    torch.testing.assert_close(gradient, tensor(0.5, -0.5, 0.0))


def test_support_center_is_at_least_as_sparse():
    logits = random_logits(500, 5)
    simplex, support = (sparsestmax(logits, 0.5, center=center) for center in CENTERS)
    counts = (simplex > 0).sum(-1), (support > 0).sum(-1)
    assert (counts[1] <= counts[0]).all()
    assert (counts[1] < counts[0]).any()


@pytest.mark.parametrize("radius", [-0.1, math.nan])
def test_impossible_radius_is_refused(radius):
    with pytest.raises(ValueError, match="radius must be at least 0"):
        sparsestmax(tensor(0.1, 0.2), radius)


def test_unknown_center_is_refused():
    with pytest.raises(ValueError, match="center must be 'simplex' or 'support', got 'origin'"):
        sparsestmax(tensor(0.1, 0.2), 0.1, center="origin")


def test_logits_that_are_not_numbers_stay_visible():
    assert sparsestmax(tensor(1.0, math.nan, 2.0), 0.3).isnan().any()


def test_softmax_matches_its_definition():
    weights = softmax(tensor(0.0, math.log(3.0)))
    torch.testing.assert_close(weights, tensor(0.25, 0.75))


def test_radius_grows_linearly_from_nothing_to_one():
    assert [radius_at(step, 4) for step in range(6)] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]


@pytest.mark.parametrize("name", NORMALIZERS)
def test_every_normalizer_returns_weights(name):
    logits = tensor(0.5, 0.3, 0.2)
    weights = NORMALIZERS[name](logits, 0.6)
    torch.testing.assert_close(weights.sum(), tensor(1.0)[0])
    assert (weights > 0).sum() == (2 if name.startswith("sparsestmax") else 3)
