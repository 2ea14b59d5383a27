"""The CPU kernels, which visit what is active or changes, against plain torch and its autograd."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mstpn.network.twin.agent import FrontEnd, PixelScale
from mstpn.network.twin.config import TwinConfig
from mstpn.network.twin.fused import FusedRecursion
from mstpn.network.twin.layer import CycleNoise, State, STHebbLayer
from mstpn.network.twin.step import step_of
from mstpn.synapses.joules import Charges
from mstpn.synapses.write_limits import WriteLimits

T, B, N_IN, N = 24, 5, 40, 6
LIMITS = WriteLimits(0.01, 0.2, -0.3, 0.5)
"""All four bite in the sequences below."""
BARE = Charges(
    *(0.9, 0.7, 0.8, 1.5, 0.6, 1.3, 0.7, 0.3, 0.15, 0.05, 0.55, 0.6),
)


class Devices(NamedTuple):
    """What the recursion gets of a layer, leaves of autograd but the gain."""

    weight: Tensor
    decay: Tensor
    gamma: Tensor
    held: Tensor
    bias: Tensor
    gain: Tensor


def devices(feedback: bool, limits: WriteLimits | None, lines: str) -> Devices:
    g = torch.Generator().manual_seed(3)
    shape = (N, N_IN + N * feedback)

    def uniform(low: float, high: float, *of: int) -> Tensor:
        return low + (high - low) * torch.rand(of or shape, generator=g, dtype=torch.float64)

    weight = uniform(-0.3, 0.3)
    decay = {
        "synapse": uniform(0.05, 0.95),
        "line": uniform(0.05, 0.95, N, 1).expand(shape).clone(),
        "zero": torch.zeros(shape, dtype=torch.float64),
    }[lines]
    gain = uniform(0.6, 1.4).where(uniform(0, 1) > 0.1, 0)  # a tenth of them stuck
    others = uniform(-0.3, 0.3), uniform(0.1, 1), uniform(-0.2, 0.2, N)
    gamma, held, bias = others
    for leaf in (weight, decay, *others):
        leaf.requires_grad_()
    return Devices(weight, decay, gamma, held, bias, gain)


def sequences(active: float, made: Devices) -> tuple[Tensor, State, Tensor]:
    """Inputs that stay active for some steps, and games that end, one of them at the first."""
    g = torch.Generator().manual_seed(4)
    lasting = torch.rand(T // 4, B, N_IN, generator=g).repeat_interleave(4, 0) < active
    flashing = torch.rand(T, B, N_IN, generator=g) < active
    seen = lasting.where(torch.rand(T, B, 1, generator=g) < 0.8, flashing)
    x = torch.rand(T, B, N_IN, generator=g, dtype=torch.float64) * seen
    h0 = torch.rand(B, N, generator=g, dtype=torch.float64) - 0.5
    trace0 = 0.05 * torch.randn(B, *made.weight.shape, generator=g, dtype=torch.float64)
    trace0[:, :, ::3] = 0  # rows at rest
    low, high = LIMITS.total_min - made.weight, LIMITS.total_max - made.weight
    trace0 = trace0.clamp(low, high).detach()  # as every state that the layer reaches
    keep = torch.ones(T, B, dtype=torch.float64)
    keep[0, 1] = keep[7, 1] = keep[8, 1] = keep[T - 1, 3] = keep[13, 4] = 0
    return x.requires_grad_(), State(h0.requires_grad_(), trace0.requires_grad_()), keep


def eager(
    x: Tensor,
    state: State,
    keep: Tensor,
    made: Devices,
    layer: STHebbLayer,
    noise: CycleNoise | None,
    charges: Charges,
) -> tuple[Tensor, ...]:
    """The recursion step by step: h, F, and the sums of `forward` in closed form."""
    config, outputs, pulses, reads = layer.config, [], [], []
    limits = config.limits or WriteLimits()
    held = torch.zeros(B, dtype=x.dtype)
    for t in range(T):
        short_term, h = state.short_term * keep[t][:, None, None], state.h * keep[t][:, None]
        z = torch.cat([x[t], h], dim=1) if config.feedback else x[t]
        if config.normalisation == "l2":
            z = z / z.norm(dim=1, keepdim=True).clamp_min(1e-6)
        conductance = charges.offset / charges.kappa + made.weight + short_term
        reads.append((z.abs()[:, None] * conductance).sum((1, 2)))
        held = held + (made.held * short_term).sum((1, 2))
        relative = noise.relative(t, *made.weight.shape) if noise is not None else None
        of_layer = (made.weight, made.decay, made.gamma, made.bias, config, made.gain, relative)
        state = step_of(x[t], keep[t], state, *of_layer)
        outputs.append(state.h)
        size = (made.gamma * torch.einsum("bi,bj->bij", state.h, z)).abs()
        issued = (size > 0) & (size >= limits.delta_f_min)
        size = torch.where(issued, size, 1.0).clamp(max=limits.delta_f_max)
        pulses.append(torch.where(issued, size**charges.exponent, 0.0).sum((1, 2)))
    return torch.stack(outputs), state.short_term, torch.stack(pulses), torch.stack(reads), held


@pytest.mark.parametrize("active", [0.0, 0.04, 0.3, 1.0])
@pytest.mark.parametrize(
    ("normalisation", "feedback", "limits", "std", "lines", "charged"),
    [
        ("none", True, LIMITS, 0.4, "synapse", True),
        ("none", True, None, 0.0, "synapse", True),
        ("l2", True, LIMITS, 0.4, "line", True),
        ("l2", False, None, 0.4, "zero", True),
        ("none", False, LIMITS, 0.0, "line", False),
        ("none", True, LIMITS, 0.4, "zero", False),
    ],
)
def test_active_rows_alone_give_what_all_rows_give(
    active: float,
    normalisation: str,
    feedback: bool,
    limits: WriteLimits | None,
    std: float,
    lines: str,
    charged: bool,
) -> None:
    """Outputs, and gradients of everything; those of silent inputs are 0, as behind a ReLU."""
    config = TwinConfig(N, 6, normalisation, 0.0, 0.96, limits, feedback=feedback)
    layer, made = STHebbLayer(N_IN, config).double(), devices(feedback, limits, lines)
    x, state, keep = sequences(active, made)
    noise = CycleNoise(std, torch.arange(B), torch.tensor(7)) if std else None
    results = [eager(x, state, keep, made, layer, noise, BARE)]
    pulses = layer._pulses(noise, B, BARE)
    fused = FusedRecursion.apply(*(x, *state, keep, *made, normalisation == "l2", pulses, charged))
    results.append(fused[:5])
    n = 5 if charged else 2
    g = torch.Generator().manual_seed(5)
    weights = [torch.randn(v.shape, generator=g, dtype=v.dtype) for v in results[0][:n]]
    inputs = [x, *state, *made[:5]]
    gradients = []
    for outputs in results:
        terms = [(v * w).sum() for v, w in zip(outputs[:n], weights, strict=True)]
        loss = torch.stack(terms).sum()
        gradients.append(torch.autograd.grad(loss, inputs, allow_unused=True))
    for got, expected in zip(results[1][:n], results[0][:n], strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-12)
    for value, got, expected in zip(inputs, *reversed(gradients), strict=True):
        expected = torch.zeros_like(value) if expected is None else expected
        got = torch.zeros_like(value) if got is None else got
        if value is x:
            expected = expected * (x > 0)
        # |u|^0.7 / u of updates down to 1e-9 times the rounding of u
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-10)


def test_without_a_gradient_of_the_start_the_others_are_the_same() -> None:
    """Rows at rest are then left out, and the adjoint of F has one place for many games."""
    layer = STHebbLayer(N_IN, TwinConfig(N, 6, "none", 0.0, 0.96, LIMITS)).double()
    made = devices(True, LIMITS, "synapse")
    x, state, keep = sequences(0.1, made)
    inputs, gradients = [x, *made[:5]], []
    for start in (state, State(*(s.detach() for s in state))):
        pulses = layer._pulses(None, B, BARE)
        h, _, *sums, _ = FusedRecursion.apply(x, *start, keep, *made, False, pulses, True)
        loss = h.square().sum() + sum(s.sum() for s in sums)
        gradients.append(torch.autograd.grad(loss, inputs))
    for got, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-13)


def frames_of_a_game() -> Tensor:
    """A few pixels of an even field move, some frames are alike, and one is blank."""
    g = torch.Generator().manual_seed(6)
    frames = torch.full((7, 5, 84, 84), 87, dtype=torch.uint8)
    frames[:, :, 10:14] = torch.randint(0, 256, (1, 5, 4, 84), generator=g, dtype=torch.uint8)
    for t in range(len(frames)):
        frames[t, :, 30 + 4 * (t // 2) : 33 + 4 * (t // 2), 20 + 5 * t : 23 + 5 * t] = 236
    frames[4, 2] = 0
    return frames


@pytest.mark.parametrize("pixels", [PixelScale(), PixelScale(87, 64)])
def test_front_end_of_sequences_equals_plain_convolutions(pixels: PixelScale) -> None:
    torch.manual_seed(3)
    front_end, frames = FrontEnd().double(), frames_of_a_game()
    front_end.pixels = pixels
    torch.nn.init.normal_(front_end.conv1.bias, std=0.1)  # type: ignore[arg-type]
    torch.nn.init.normal_(front_end.conv2.bias, std=0.1)  # type: ignore[arg-type]
    found = [front_end(frames), front_end(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])]
    weight = torch.randn(found[0].shape, dtype=torch.float64)
    weight *= torch.rand(found[0].shape) < torch.rand(7, 5, 1)  # from few to all of them
    parameters = list(front_end.parameters())
    gradients = [torch.autograd.grad((x * weight).sum(), parameters) for x in found]
    assert 0.1 < (found[0] > 0).double().mean() < 0.9
    # 256 products a feature, and some 10^4 of them a weight, in another order
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-13)
    for got, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-10)


def test_features_do_not_depend_on_the_frames_before() -> None:
    torch.manual_seed(3)
    front_end, frames = FrontEnd(), frames_of_a_game()
    watch = front_end.watcher()
    watched = torch.stack([watch(f) for f in frames])
    assert torch.equal(watched, front_end(frames))
    for t in (0, 3, 6):
        assert torch.equal(front_end.watcher()(frames[t]), watched[t])
    assert functional.mse_loss(watched[0], watched[6]) > 0
