"""Drawn options, against torch's own Gumbel-softmax."""

import torch
import torch.nn.functional as F

from corenas_oneshot.relaxing.draws import gumbel_one_hot, uniform_one_hot


def test_drawn_options_and_their_gradient_are_those_of_torchs_gumbel_softmax():
    logits = torch.randn(50, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    generator = torch.Generator().manual_seed(3)
    drawn = gumbel_one_hot(logits, temperature=0.7, generator=generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        expected = F.gumbel_softmax(logits, tau=0.7, hard=True)
    assert set(drawn.detach().unique().tolist()) == {0.0, 1.0}
    assert (drawn.sum(-1) == 1).all()
    torch.testing.assert_close(drawn, expected)
    cotangent = torch.randn(50, 5, generator=generator)
    gradients = [torch.autograd.grad(y, logits, cotangent)[0] for y in (drawn, expected)]
    torch.testing.assert_close(*gradients)
    assert gradients[0].abs().max() > 0


def test_random_options_are_one_hot_and_all_occur():
    drawn = uniform_one_hot(torch.zeros(1000, 4), torch.Generator().manual_seed(0))
    assert (drawn.sum(-1) == 1).all()
    assert (drawn.sum(0) > 200).all()
