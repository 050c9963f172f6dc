from __future__ import annotations

import math
from collections import Counter
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from corenas_tpsr.policy._controller import Controller, bounded

SIZES = [size for node in range(1, 11) for size in (16, node)]
"""Options of the generator's decisions: operation and source of each node."""


def controller(sizes: list[int], *, seed: int = 0, **options: object) -> Controller:
    return Controller(sizes, torch.Generator().manual_seed(seed), **options)


def sharpened(policy: Controller) -> Controller:
    """Make the distributions uneven, as training would."""
    with torch.no_grad():
        policy.decoder_weight.mul_(200)
    return policy


def count(*parameters: Tensor) -> int:
    return sum(parameter.numel() for parameter in parameters)


def step_by_step(policy: Controller, sizes: list[int], choices: list[int]) -> tuple[Tensor, Tensor]:
    """Score the choices as the paper describes it, one decision after the other."""
    cell = nn.LSTMCell(100, 100)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    cell.load_state_dict({n: policy.lstm.state_dict()[f"{n}_l0"] for n in names})
    inputs, state, row = torch.zeros(1, 100), None, 0
    log_p, entropies = [], []
    for size, choice in zip(sizes, choices, strict=True):
        state = cell(inputs, state)
        decoder = nn.Linear(100, size)
        decoder.weight.data = policy.decoder_weight.data[row : row + size]
        decoder.bias.data = policy.decoder_bias.data[row : row + size]
        logits = 2.5 * torch.tanh(decoder(state[0][0]) / 5)
        distribution = torch.distributions.Categorical(logits=logits)
        log_p.append(distribution.log_prob(torch.tensor(choice)))
        entropies.append(distribution.entropy())
        if policy.embedding is not None and len(log_p) < len(sizes):
            inputs = policy.embedding[row + choice][None]
        row += size
    return torch.stack(log_p), torch.stack(entropies)


def test_published_logits_probabilities_and_entropy() -> None:
    logits = bounded(torch.tensor([0.0, 5, -5, 20]), temperature=5, bound=2.5)
    distribution = torch.distributions.Categorical(logits=logits)
    torch.testing.assert_close(
        logits, torch.tensor([0, 1.903986, -1.903986, 2.498323]), atol=1e-6, rtol=0
    )
    torch.testing.assert_close(
        distribution.probs,
        torch.tensor([0.049941, 0.335233, 0.007440, 0.607386]),
        atol=1e-6,
        rtol=0,
    )
    assert distribution.entropy().item() == pytest.approx(0.855354, abs=1e-6)


def test_sizes_are_those_of_the_paper() -> None:
    policy = controller(SIZES)
    assert count(*policy.lstm.parameters()) == 80_800
    assert count(policy.decoder_weight, policy.decoder_bias) == 21_715
    assert policy.embedding is not None
    assert count(policy.embedding) == 100 * (sum(SIZES) - SIZES[-1])
    assert count(*controller(SIZES, feedback="zeros").parameters()) == 80_800 + 21_715


def test_parameters_start_uniform_and_the_decoders_biases_at_zero() -> None:
    policy = controller(SIZES)
    assert policy.decoder_bias.abs().max() == 0
    for name, parameter in policy.named_parameters():
        if name != "decoder_bias":
            assert 0.099 < parameter.abs().max() <= 0.1
            # The standard deviation of U(-0.1, 0.1).
            assert parameter.std().item() == pytest.approx(0.2 / math.sqrt(12), rel=0.05)


def test_making_a_policy_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    policy = controller(SIZES)
    policy.sample(torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("feedback", ["embedding", "zeros"])
def test_sequence_scored_at_once_equals_one_cell_step_per_decision(feedback: str) -> None:
    policy = sharpened(controller(SIZES, feedback=feedback))
    choices = policy.sample(torch.Generator().manual_seed(1))
    log_p, entropies = policy(choices)
    expected_log_p, expected_entropies = step_by_step(policy, SIZES, choices)
    torch.testing.assert_close(log_p, expected_log_p)
    torch.testing.assert_close(entropies, expected_entropies)


def test_gradients_equal_those_of_one_cell_step_per_decision() -> None:
    sizes = [4, 1, 3]
    policy = sharpened(controller(sizes))
    choices = [2, 0, 1]

    def gradients(log_p: Tensor, entropies: Tensor) -> tuple[Tensor, ...]:
        loss = log_p.sum() + 0.3 * entropies.sum()
        return torch.autograd.grad(loss, [policy.embedding], retain_graph=True)

    (gradient,) = gradients(*policy(choices))
    (expected,) = gradients(*step_by_step(policy, sizes, choices))
    torch.testing.assert_close(gradient, expected)
    fed = [index for index, row in enumerate(gradient) if row.abs().max() > 0]
    assert fed == [2, 4]


def test_probabilities_of_all_sequences_sum_to_one() -> None:
    policy = sharpened(controller([3, 1, 4, 2]))
    total = sum(
        policy(choices)[0].sum().exp().item() for choices in product(*map(range, (3, 1, 4, 2)))
    )
    assert total == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("feedback", ["embedding", "zeros"])
def test_sampled_frequencies_are_the_scored_probabilities(feedback: str) -> None:
    policy = sharpened(controller([3, 1, 2], feedback=feedback))
    generator = torch.Generator().manual_seed(2)
    draws = 4000
    counts = Counter(tuple(policy.sample(generator)) for _ in range(draws))
    for choices in product(range(3), range(1), range(2)):
        p = policy(choices)[0].sum().exp().item()
        deviation = math.sqrt(draws * p * (1 - p))
        assert counts[choices] == pytest.approx(draws * p, abs=4 * deviation + 1)


def test_decision_with_one_option_is_certain() -> None:
    log_p, entropies = controller(SIZES)([0] * 20)
    assert log_p[1] == 0
    assert entropies[1] == 0


def test_fresh_policy_is_nearly_uniform() -> None:
    entropy = controller(SIZES)([0] * 20)[1].sum().item()
    highest = 10 * math.log(16) + math.log(math.factorial(10))
    assert highest == pytest.approx(42.830, abs=5e-4)
    assert 0 <= highest - entropy < 0.1


def test_embedding_makes_decisions_depend_on_those_before() -> None:
    for feedback, depends in (("embedding", True), ("zeros", False)):
        policy = controller([2, 3], feedback=feedback)
        first, second = policy([0, 1])[0][1], policy([1, 1])[0][1]
        assert (first != second) == depends


@pytest.mark.parametrize(
    ("decoder_outputs", "option", "probability"),
    [
        ([1e9] + [-1e9] * 15, 0, 0.9082),
        ([-1e9] + [1e9] * 15, 0, 4.49e-4),
        ([1e9] + [-1e9] * 15, 1, 0.00612),
    ],
    ids=["largest", "smallest", "beside-one-that-dominates"],
)
def test_probabilities_are_bounded(
    decoder_outputs: list[float], option: int, probability: float
) -> None:
    policy = controller([16])
    with torch.no_grad():
        policy.decoder_bias.copy_(torch.tensor(decoder_outputs))
    p = policy([option])[0].exp().item()
    assert p == pytest.approx(probability, rel=1e-3)


def test_gradient_is_finite_where_decisions_have_fewer_options_than_others() -> None:
    policy = controller([1, 16, 2])
    log_p, entropies = policy([0, 3, 1])
    (log_p.sum() + entropies.sum()).backward()
    assert all(torch.isfinite(p.grad).all() for p in policy.parameters())
    assert policy.decoder_bias.grad[0] == 0
