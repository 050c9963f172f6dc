"""What a supernet's step costs, and how much of it sparsity saves.

    python benchmarks/supernet.py [--rounds 7]

Three cells of five operations, four candidates each, 64 features, three patches of 32x32, one
thread. A weight step differentiates the weights, an architecture step the logits alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from functools import partial, reduce

import torch
import torch.nn.functional as F
from timing import Row, interleaved_medians, print_rows
from torch import Tensor, nn

from corenas.supernets.mixtures import Mixture
from corenas_oneshot.relaxing.sparsestmax import sparsemax
from corenas_trilevel.space.config import TrilevelBConfig
from corenas_trilevel.space.derived import RESIDUAL_SCALE
from corenas_trilevel.space.operations import SlimDwsBlock, SlimResBlock
from corenas_trilevel.space.relaxation import relaxation
from corenas_trilevel.space.space import TrilevelSpace
from corenas_trilevel.space.supernet import MixedCell, TrilevelSupernet

CONFIG = TrilevelBConfig(cells=3, searched_cells=1, ups=0)
WIDTHS = len(CONFIG.widths)
PATCHES = (3, 3, 32, 32)
EXACT = 1e-10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="timed calls of each function")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for measure in MEASURES for row in measure(arguments.rounds)]
    return print_rows("supernet of 3 cells, 64 features, 3 patches of 32x32", rows)


class Steps:
    """Training steps of a supernet in which some operations and widths have weight zero.

    Args:
        operations: How many of the four have a weight above zero.
        widths: How many of the five, the widest among them.
        sparse: Leave out what has weight zero.
        dtype: Of everything.
    """

    def __init__(
        self,
        *,
        operations: int = 4,
        widths: int = WIDTHS,
        sparse: bool = True,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        torch.manual_seed(0)
        self.space, self.sparse = TrilevelSpace(CONFIG), sparse
        self.supernet = TrilevelSupernet(self.space)
        self.images = 255 * torch.rand(PATCHES)
        self.targets = F.interpolate(255 * torch.rand(PATCHES), scale_factor=CONFIG.scale)
        self.path = torch.tensor([float(path == "000") for path in self.space.candidates])
        self.operations = torch.randn(len(self.space.cells), 5, 4) / 100
        for place, logits in enumerate(self.operations.flatten(0, 1)):
            logits[[(place + left_out) % 4 for left_out in range(operations, 4)]] -= 10
        self.widths = torch.randn(len(self.space.cells), 4, WIDTHS) / 100
        self.widths[..., : WIDTHS - widths] -= 10
        for name, value in vars(self).items():
            if isinstance(value, nn.Module | Tensor):
                setattr(self, name, value.to(dtype))
        self.logits = (self.operations.requires_grad_(), self.widths.requires_grad_())
        self.optimizer = torch.optim.Adam(self.supernet.parameters(), lr=1e-4)

    def loss(self, operations: Tensor, widths: Tensor) -> Tensor:
        """Return the loss at the point that these logits stand for."""
        point = relaxation(
            self.space,
            path=self.path,
            operations=sparsemax(operations),
            widths=sparsemax(widths),
        )
        return F.l1_loss(self.supernet(self.images, point, sparse=self.sparse), self.targets) / 255

    def weights(self) -> None:
        """Update the weights."""
        self.optimizer.zero_grad()
        torch.autograd.backward(self.loss(*(logits.detach() for logits in self.logits)))
        self.optimizer.step()

    def architecture(self) -> tuple[Tensor, ...]:
        """Return the gradients of the logits."""
        return torch.autograd.grad(self.loss(*self.logits), self.logits)

    def both(self) -> None:
        """Do one step of each."""
        self.weights()
        self.architecture()

    def kept(self) -> int:
        """Return the bytes that a weight step keeps for its backward pass."""
        weights = {weight.untyped_storage().data_ptr() for weight in self.supernet.parameters()}
        storages: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                storages[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            torch.autograd.backward(self.loss(*(logits.detach() for logits in self.logits)))
        return sum(storages.values())


class EveryWidthCell(MixedCell):
    """The same mixture in its literal form: every operation computed at every width."""

    def forward(self, x: Tensor, mixture: Mapping[str, Mixture]) -> Tensor:
        """Run the cell."""
        y = x
        full = Mixture(x.new_ones(1), (0,))
        for index, (operation, name) in enumerate(
            zip(self.operations, self.operation_names, strict=True)
        ):
            last = index == len(self.width_names)
            widths = full if last else mixture[self.width_names[index]]
            sizes = (x.shape[1],) if last else self.widths
            terms = [
                mixture[name].weights[j] * widths.weights[k] * at_width(choice, y, size)
                for j, choice in enumerate(operation.get_submodule("choices").children())
                for k, size in enumerate(sizes)
            ]
            y = reduce(torch.add, terms)
        return x + RESIDUAL_SCALE * y


def at_width(choice: nn.Module, x: Tensor, width: int) -> Tensor:
    """Return the operation's first channels, inside as wide as at full width, padded with zeros."""
    if isinstance(choice, SlimResBlock):
        inner = F.relu(choice.first(x))
        y = F.conv2d(inner, choice.second.weight[:width], padding=1)
        y = F.relu(y + x[:, :width])
    elif isinstance(choice, SlimDwsBlock):
        inner = F.relu(choice.depthwise(F.relu(choice.expand(x))))
        y = F.relu(F.conv2d(inner, choice.project.weight[:width]) + x[:, :width])
    else:
        y = choice(x, width)
    return F.pad(y, (0, 0, 0, 0, 0, x.shape[1] - width))


def at_every_width(steps: Steps) -> Steps:
    """Return the steps with every cell of the supernet in its literal form."""
    for name, cell in steps.supernet.cells.items():
        literal = EveryWidthCell(name, CONFIG).to(steps.images.dtype)
        literal.load_state_dict(cell.state_dict())
        steps.supernet.cells[name] = literal
    return steps


def require_equal(first: Steps, second: Steps) -> None:
    """Refuse to compare what does not compute the same; for steps in float64."""
    pairs = zip(
        (first.loss(*first.logits), *first.architecture()),
        (second.loss(*second.logits), *second.architecture()),
        strict=True,
    )
    difference = max(float((one - other).detach().abs().max()) for one, other in pairs)
    if difference > EXACT:
        raise SystemExit(f"the forms differ by {difference:.1e}, more than {EXACT:.0e}")


def once_against_every_width(rounds: int) -> list[Row]:
    """Compare each operation computed once with each computed at every width."""
    exact = partial(Steps, dtype=torch.float64)
    require_equal(exact(), at_every_width(exact()))
    return [
        ratio(
            "each operation once / at every width", Steps(), at_every_width(Steps()), 0.30, rounds
        )
    ]


def sparse_against_dense(rounds: int) -> list[Row]:
    """Compare steps that leave out zeros with steps that compute everything."""
    rows = []
    for operations, bar in ((2, 0.58), (1, 0.32)):
        few = partial(Steps, operations=operations)
        exact = partial(few, dtype=torch.float64)
        require_equal(exact(), exact(sparse=False))
        rows.append(
            ratio(f"{operations} of 4 operations / dense", few(), few(sparse=False), bar, rounds)
        )
    return rows


def nothing_zero_against_dense(rounds: int) -> list[Row]:
    """Compare the code that looks for zeros, where there are none, with the code that does not."""
    exact = partial(Steps, dtype=torch.float64)
    require_equal(exact(), exact(sparse=False))
    return [ratio("sparse code, nothing zero / dense", Steps(), Steps(sparse=False), 1.10, rounds)]


def architecture_against_weights(rounds: int) -> list[Row]:
    """Compare a step that needs the logits' gradients alone with one that needs the weights'."""
    steps = Steps()
    seconds = interleaved_medians(
        {"architecture": steps.architecture, "weights": steps.weights}, rounds=rounds
    )
    what = "architecture step / weight step"
    return [row(what, seconds["architecture"], seconds["weights"], 0.78)]


def memory(rounds: int) -> list[Row]:
    """Compare what the backward pass needs; nothing is timed."""
    dense = Steps(operations=1, sparse=False).kept()
    rows = []
    for operations, bar in ((2, 0.60), (1, 0.35)):
        kept = Steps(operations=operations).kept()
        detail = f"{kept / 2**20:.0f} / {dense / 2**20:.0f} MiB kept for the backward pass"
        rows.append(Row(f"memory, {operations} of 4 operations / dense", kept / dense, bar, detail))
    return rows


MEASURES = (
    once_against_every_width,
    sparse_against_dense,
    nothing_zero_against_dense,
    architecture_against_weights,
    memory,
)


def ratio(what: str, ours: Steps, other: Steps, bar: float, rounds: int) -> Row:
    """Return how a weight and an architecture step compare with those of another form."""
    seconds = interleaved_medians({"ours": ours.both, "other": other.both}, rounds=rounds)
    return row(what, seconds["ours"], seconds["other"], bar)


def row(what: str, ours: float, other: float, bar: float) -> Row:
    """Return a row of the table from two times in seconds."""
    return Row(what, ours / other, bar, f"{1000 * ours:.0f} / {1000 * other:.0f} ms")


if __name__ == "__main__":
    sys.exit(main())
