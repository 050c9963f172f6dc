"""Relaxations of one kind of decision, in float64 against computations of their own."""

import math

import pytest
import torch

from corenas import Decision
from corenas_oneshot.relaxing.logits import Logits
from corenas_oneshot.relaxing.relaxing import Relaxing
from corenas_oneshot.relaxing.sparsestmax import sparsestmax


class Decisions:
    """As much of a space as logits look at."""

    name = "decisions"
    decisions = (
        Decision("first", ("a", "b", "c"), "operation"),
        Decision("wide", ("8", "16", "4"), "width"),
        Decision("second", ("a", "b", "c"), "operation"),
        Decision("way", ("left", "right"), "path"),
    )

    def canonical(self, architecture):
        return architecture


def rows(seed=0):
    return torch.randn(3, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def softmax_by_hand(row):
    powers = [math.exp(float(value)) for value in row]
    return [power / sum(powers) for power in powers]


def nearest_on_the_simplex(row):
    """Project by bisection on the threshold, which knows nothing of sorting."""
    values = [float(value) for value in row]
    low, high = min(values) - 1, max(values)
    for _ in range(200):
        middle = (low + high) / 2
        if sum(max(value - middle, 0) for value in values) > 1:
            low = middle
        else:
            high = middle
    return [max(value - low, 0) for value in values]


@pytest.mark.parametrize(
    ("method", "by_hand"),
    [
        ("softmax", softmax_by_hand),
        ("gumbel", softmax_by_hand),
        ("sparsemax", nearest_on_the_simplex),
        ("sparsestmax", nearest_on_the_simplex),
        ("uniform", lambda row: [1 / len(row)] * len(row)),
    ],
)
def test_weights_are_those_of_the_definition(method, by_hand):
    weights = Relaxing(method).weights(rows(), 0.0)
    for ours, row in zip(weights.tolist(), rows(), strict=True):
        assert ours == pytest.approx(by_hand(row), abs=1e-12)


@pytest.mark.parametrize("method", ["softmax", "gumbel", "sparsemax", "sparsestmax"])
@pytest.mark.parametrize("radius", [0.0, 0.5])
def test_gradient_of_the_weights_matches_finite_differences(method, radius):
    relaxing = Relaxing(method)
    assert torch.autograd.gradcheck(
        lambda logits: relaxing.weights(logits, radius), rows().requires_grad_()
    )


def test_a_draws_gradient_is_that_of_the_noisy_softmax():
    """Straight-through, by finite differences of a softmax with the same noise."""
    relaxing, logits, cotangent = Relaxing("gumbel", temperature=0.6), rows(), rows(1)

    def generator():
        return torch.Generator().manual_seed(7)

    # Minus the logarithm of exponential noise is Gumbel noise.
    noise = -torch.empty(3, 5).exponential_(generator=generator()).log().double()

    def surrogate(values):
        return ((((values + noise) / 0.6).softmax(-1)) * cotangent).sum()

    values = logits.clone().requires_grad_()
    drawn = relaxing.step_weights(values, 0.0, generator())
    assert drawn.detach().sort(-1).values.tolist() == [[0, 0, 0, 0, 1]] * 3
    assert torch.equal(drawn.argmax(-1), (logits + noise).argmax(-1))
    (found,) = torch.autograd.grad(drawn, values, cotangent)
    step = 1e-6
    for index in range(logits.numel()):
        moved = torch.zeros_like(logits).view(-1)
        moved[index] = step
        moved = moved.view_as(logits)
        slope = (surrogate(logits + moved) - surrogate(logits - moved)) / (2 * step)
        assert float(found.view(-1)[index]) == pytest.approx(float(slope), abs=1e-7)


def make(method="softmax", fixed=None, **kinds):
    relaxing = dict.fromkeys(("operation", "width", "path"), Relaxing(method, random=True))
    relaxing |= {kind: Relaxing(name, random=True) for kind, name in kinds.items()}
    generator = torch.Generator().manual_seed(0)
    return Logits(Decisions(), relaxing, generator=generator, fixed=fixed)


def test_each_kind_of_decision_has_its_own_relaxation():
    logits = make(operation="sparsestmax", width="gumbel")
    with torch.no_grad():
        for level in logits.levels:
            level.copy_(torch.randn(level.shape, generator=torch.Generator().manual_seed(2)))
    weights = logits.weights(0.6)
    assert list(weights) == ["first", "wide", "second", "way"]
    assert torch.equal(weights["second"], sparsestmax(logits.row("second"), 0.6))
    assert torch.equal(weights["wide"], logits.row("wide").softmax(-1))
    drawn = logits.step_weights(0.6, torch.Generator().manual_seed(3))
    assert set(drawn["wide"].tolist()) == {0.0, 1.0}
    assert torch.equal(drawn["first"], weights["first"])


def test_extremes_are_the_widest_and_the_narrowest_whatever_their_order():
    logits = make()
    point = logits.weights(0.0)
    widest, narrowest = logits.extremes(point)
    assert widest["wide"].tolist() == [0, 1, 0]
    assert narrowest["wide"].tolist() == [0, 0, 1]
    assert all(widest[name] is point[name] for name in ("first", "second", "way"))


def test_what_is_fixed_is_not_searched():
    logits = make(fixed={"second": "b"})
    assert logits.weights(0.3)["second"].tolist() == [0, 1, 0]
    assert logits.architecture()["second"] == "b"
    assert [level.shape for level in logits.searched] == [(1, 3), (1, 3), (1, 2)]
    assert (logits.is_fixed("second"), logits.is_fixed("first")) == (True, False)


def test_options_drawn_by_chance_have_no_logits_to_learn():
    logits = make("uniform")
    assert logits.searched == ()
    drawn = [logits.step_weights(0.0, torch.Generator().manual_seed(n)) for n in range(40)]
    assert {tuple(point["first"].tolist()) for point in drawn} == {(1, 0, 0), (0, 1, 0), (0, 0, 1)}


def test_scalars_count_decisions_that_take_part():
    logits = make(operation="sparsestmax")
    with torch.no_grad():
        weights = logits.weights(1.0)
    scalars = logits.scalars(weights, {"first", "way"})
    assert scalars["operation_sparsity"] == pytest.approx(2 / 3)
    assert scalars["operation_entropy"] == 0
    assert "width_entropy" not in scalars
    way = weights["way"]
    assert scalars["way/left"] == pytest.approx(float(way[0]))
    entropy = -sum(float(share) * math.log(float(share)) for share in way)
    assert scalars["path_entropy"] == pytest.approx(entropy)
