"""The policy of TPSR: an LSTM that makes one decision after the other (Eq. 4 of arXiv:2007.04356).

What the paper leaves open follows the public ENAS controller: the paper's numbers are its defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Feedback = Literal["embedding", "zeros"]

# Not minus infinity: the entropy of that would be 0 times infinity.
PADDING = -1e9
"""The logit of an option that a decision does not have: its probability is exactly 0."""


def bounded(values: Tensor, *, temperature: float, bound: float) -> Tensor:
    """Return logits in [-bound, bound], so that no option's probability can vanish."""
    return bound * torch.tanh(values / temperature)


class Controller(nn.Module):
    """A distribution over sequences of choices, each conditioned on the choices before it.

    One LSTM cell with zero initial state; every decision has its own linear decoder, and the
    embedding of the sampled option is the next input (zeros for the first decision). Decoders and
    embeddings have one row per option, decision after decision, so that a whole sequence is scored
    at once.

    Args:
        sizes: How many options each decision has, in the order in which they are made.
        generator: Source of the initial parameters; torch's global random state is left alone.
        hidden: Width of the LSTM and of the embeddings.
        temperature: What the decoders' outputs are divided by.
        bound: The largest absolute logit.
        feedback: Whether a decision sees the options sampled before it, or zeros.
        spread: Parameters start uniform in [-spread, spread], the decoders' biases at 0.
    """

    mask: Tensor
    decision: Tensor
    first: Tensor

    def __init__(
        self,
        sizes: Sequence[int],
        generator: torch.Generator,
        *,
        hidden: int = 100,
        temperature: float = 5.0,
        bound: float = 2.5,
        feedback: Feedback = "embedding",
        spread: float = 0.1,  # as in ENAS; the paper does not say
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.bound = bound
        # Made without values, because filling them in would draw from the global random state.
        self.lstm = nn.LSTM(hidden, hidden, device="meta").to_empty(device="cpu")
        self.decoder_weight = nn.Parameter(torch.empty(sum(sizes), hidden))
        self.decoder_bias = nn.Parameter(torch.empty(sum(sizes)))
        self.embedding: nn.Parameter | None = None
        if feedback == "embedding":
            # No decision follows the last one, so its options need no embedding.
            self.embedding = nn.Parameter(torch.empty(sum(sizes[:-1]), hidden))
        self._lay_out(sizes)
        self._initialise(generator, spread)

    def _lay_out(self, sizes: Sequence[int]) -> None:
        """Compute which rows belong to which of T decisions; at most M options, R rows in all."""
        ends = list(accumulate(sizes))
        self._rows = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
        count = torch.tensor(sizes)
        mask = torch.arange(max(sizes)) < count[:, None]  # (T, M)
        decision = torch.arange(len(sizes)).repeat_interleave(count)  # (R,)
        self.register_buffer("mask", mask, persistent=False)
        self.register_buffer("decision", decision, persistent=False)
        self.register_buffer("first", torch.tensor([0, *ends[:-1]]), persistent=False)  # (T,)

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator, spread: float) -> None:
        for parameter in self.parameters():
            parameter.uniform_(-spread, spread, generator=generator)
        self.decoder_bias.zero_()

    @torch.inference_mode()
    def sample(self, generator: torch.Generator) -> list[int]:
        """Draw the index of one option for every decision."""
        choices: list[int] = []
        (weights,) = self.lstm.all_weights
        inputs = hidden = cell = self.decoder_weight.new_zeros(1, self.lstm.hidden_size)
        # Gumbel-max: the largest of logits plus Gumbel noise is a draw from their softmax. One call
        # draws the noise of all decisions.
        noise = -torch.empty_like(self.decoder_bias).exponential_(generator=generator).log()
        for rows in self._rows:
            hidden, cell = torch.lstm_cell(inputs, (hidden, cell), *weights)
            scores = F.linear(hidden[0], self.decoder_weight[rows], self.decoder_bias[rows])
            choices.append(int((self._bounded(scores) + noise[rows]).argmax()))
            if self.embedding is not None and len(choices) < len(self._rows):
                inputs = self.embedding[rows.start + choices[-1]].unsqueeze(0)
        return choices

    def forward(self, choices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Score given choices under the current parameters.

        Returns:
            Log-probability of each choice, and entropy in nats of each decision given the choices
            before it; both differentiable, shape (T,).
        """
        index = torch.tensor(choices)
        hidden = self.lstm(self._inputs(index))[0][self.decision]  # (R, hidden)
        # Row by row instead of decision by decision: one product for all decoders.
        logits = self._bounded((hidden * self.decoder_weight).sum(1) + self.decoder_bias)
        padded = logits.new_full(self.mask.shape, PADDING).masked_scatter(self.mask, logits)
        log_p = padded.log_softmax(1)
        return log_p.gather(1, index[:, None]).squeeze(1), -(log_p.exp() * log_p).sum(1)

    def _inputs(self, index: Tensor) -> Tensor:
        zeros = self.decoder_weight.new_zeros(len(index), self.lstm.input_size)
        if self.embedding is None:
            return zeros
        return torch.cat([zeros[:1], self.embedding[(self.first + index)[:-1]]])

    def _bounded(self, values: Tensor) -> Tensor:
        return bounded(values, temperature=self.temperature, bound=self.bound)
