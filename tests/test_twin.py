"""The torch twin against the plain recursion; the fused kernel against autograd."""

import numpy as np
import oracles
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mstpn.network.twin import MSTPN, FrontEnd, State, STHebbLayer, TwinConfig

T, B, N_IN, N = 11, 3, 9, 4


def config(normalisation: str = "none") -> TwinConfig:
    return TwinConfig(N, 6, normalisation, 0.08, 0.92)


def layer(normalisation: str = "none", dtype: torch.dtype = torch.float64) -> STHebbLayer:
    torch.manual_seed(0)
    made = STHebbLayer(N_IN, config(normalisation)).to(dtype)
    with torch.no_grad():
        made.gamma.uniform_(-0.3, 0.3)
    return made


def sequence(dtype: torch.dtype = torch.float64) -> tuple[Tensor, State, Tensor]:
    g = torch.Generator().manual_seed(1)
    x = torch.randn(T, B, N_IN, generator=g, dtype=dtype).requires_grad_()
    h0 = torch.rand(B, N, generator=g, dtype=dtype).requires_grad_()
    trace0 = (0.1 * torch.randn(B, N, N_IN + N, generator=g, dtype=dtype)).requires_grad_()
    keep = torch.ones(T, B, dtype=dtype)
    keep[0, 0] = keep[4, 1] = keep[5, 1] = keep[8, 2] = keep[10, 0] = 0
    return x, State(h0, trace0), keep


def test_eager_layer_equals_the_recursion() -> None:
    made = layer()
    x, _, _ = sequence()
    h, _ = made(x, made.initial_state(B), torch.ones(T, B, dtype=torch.float64))
    weight, decay, gamma, bias = (
        value.detach().numpy() for value in (made.weight, made.decay, made.gamma, made.bias)
    )
    for b in range(B):
        recursion = oracles.Recursion(weight, decay, gamma, bias)
        for t in range(T):
            expected = recursion.step(x[t, b].detach().numpy())
            np.testing.assert_allclose(h[t, b].detach(), expected, rtol=0, atol=1e-13)


def test_a_new_game_starts_from_zero() -> None:
    made = layer()
    x, state, keep = sequence()
    h, _ = made(x, state, keep)
    alone, _ = made(x[8:, 2:], made.initial_state(1), torch.ones(3, 1, dtype=torch.float64))
    np.testing.assert_allclose(h[8:, 2:].detach(), alone.detach(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("normalisation", ["none", "l2"])
# float64: T steps of some ten roundings each; float32: the same with 2^-24 for 2^-53
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-12), (torch.float32, 3e-5)])
def test_fused_kernel_equals_eager(normalisation: str, dtype: torch.dtype, atol: float) -> None:
    made = layer(normalisation, dtype)
    x, state, keep = sequence(dtype)
    g = torch.Generator().manual_seed(2)
    grad_h = torch.randn(T, B, N, generator=g, dtype=dtype)
    grad_trace = torch.randn(B, N, N_IN + N, generator=g, dtype=dtype)
    inputs = [x, *state, *made.parameters()]
    results = []
    for fused in (False, True):
        h, last = made(x, state, keep, fused=fused)
        loss = (h * grad_h).sum() + (last.trace * grad_trace).sum()
        results.append([h, *last, *torch.autograd.grad(loss, inputs)])
    for eager, from_kernel in zip(*results, strict=True):
        torch.testing.assert_close(from_kernel, eager, rtol=0, atol=atol)


@pytest.mark.parametrize("normalisation", ["none", "l2"])
def test_fused_gradients_against_finite_differences(normalisation: str) -> None:
    made = layer(normalisation)
    x, state, keep = sequence()

    def run(x: Tensor, h0: Tensor, trace0: Tensor, *_parameters: Tensor) -> tuple[Tensor, Tensor]:
        h, last = made(x, State(h0, trace0), keep, fused=True)
        return h, last.trace

    assert torch.autograd.gradcheck(run, (x, *state, *made.parameters()), fast_mode=True)


def test_front_end_equals_plain_convolutions() -> None:
    torch.manual_seed(3)
    front_end = FrontEnd().double()
    frames = torch.randint(0, 256, (2, 84, 84), dtype=torch.uint8)
    one, two = front_end.conv1, front_end.conv2
    scaled = frames[:, None].double() / 255
    x = functional.relu(functional.conv2d(scaled, one.weight, one.bias, stride=4))
    x = functional.relu(functional.conv2d(x, two.weight, two.bias, stride=2)).flatten(1)
    assert x.shape == (2, FrontEnd.n_features)
    # 256 products a feature, in another order
    torch.testing.assert_close(front_end(frames), x, rtol=0, atol=1e-13)


def test_lambda_stays_in_the_range_however_large_the_logit() -> None:
    made = layer()
    with torch.no_grad():
        made.decay_logit.copy_(torch.linspace(-1e3, 1e3, N * (N_IN + N)).view(N, -1))
    assert made.decay.min() >= 0.08
    assert made.decay.max() <= 0.92 + 1e-15


def test_network_has_the_papers_169984_synapses() -> None:
    net = MSTPN(TwinConfig(64, 6, "none", 0.08, 0.92))
    assert net.layer.weight.numel() == 169_984


def test_bad_configurations_are_refused() -> None:
    with pytest.raises(ValueError, match="normalisation must be one of none, l2, got 'batch'"):
        config("batch")
    with pytest.raises(ValueError, match=r"0 <= decay_min <= decay_max < 1, got 0\.9 and 0\.1"):
        TwinConfig(N, 6, "none", 0.9, 0.1)
