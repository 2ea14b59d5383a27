"""The torch twin against the plain recursion; the fused kernel against autograd."""

from typing import Any

import numpy as np
import oracles
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mstpn.network.twin.agent import MSTPN, FrontEnd, PixelScale
from mstpn.network.twin.layer import (
    CycleNoise,
    State,
    STHebbLayer,
    TwinConfig,
)
from mstpn.network.twin.step import compiled_step, step_of
from mstpn.network.wiring import line_values
from mstpn.synapses.joules import Charges
from mstpn.synapses.write_limits import WriteLimits

T, B, N_IN, N = 11, 3, 9, 4
LIMITS = WriteLimits(0.02, 0.1, -0.3, 0.35)
"""All four bite in the sequences below."""


CHARGES = Charges(
    offset=0.9,
    kappa=0.7,
    read_voltage=0.8,
    read_duration=1.5,
    step_duration=0.6,
    unit_pulse=1.3,
    exponent=0.5,
    half_voltage=0.3,
    slope_voltage=0.15,
    voltage_min=0.05,
    voltage_max=0.55,
    decay_duration=0.6,
)


def config(
    normalisation: str = "none", limits: WriteLimits | None = None, **others: Any
) -> TwinConfig:
    return TwinConfig(N, 6, normalisation, 0.08, 0.92, limits, **others)


def layer(
    normalisation: str = "none",
    dtype: torch.dtype = torch.float64,
    limits: WriteLimits | None = None,
    **others: Any,
) -> STHebbLayer:
    torch.manual_seed(0)
    made = STHebbLayer(N_IN, config(normalisation, limits, **others)).to(dtype)
    with torch.no_grad():
        made.gamma.uniform_(-0.3, 0.3)
        if limits is not None:  # as every programmed W is
            made.weight.clamp_(limits.total_min, limits.total_max)
    return made


def sequence(dtype: torch.dtype = torch.float64) -> tuple[Tensor, State, Tensor]:
    g = torch.Generator().manual_seed(1)
    x = torch.randn(T, B, N_IN, generator=g, dtype=dtype).requires_grad_()
    h0 = torch.rand(B, N, generator=g, dtype=dtype).requires_grad_()
    trace0 = (0.1 * torch.randn(B, N, N_IN + N, generator=g, dtype=dtype)).requires_grad_()
    keep = torch.ones(T, B, dtype=dtype)
    keep[0, 0] = keep[4, 1] = keep[5, 1] = keep[8, 2] = keep[10, 0] = 0
    return x, State(h0, trace0), keep


def arrays(made: STHebbLayer) -> list[oracles.Array]:
    parameters = (made.weight, made.decay, made.gamma, made.bias)
    return [value.detach().numpy() for value in parameters]


@pytest.mark.parametrize("limits", [None, LIMITS])
def test_eager_layer_equals_the_recursion(limits: WriteLimits | None) -> None:
    made = layer(limits=limits)
    x, _, _ = sequence()
    h, _ = made(x, made.initial_state(B), torch.ones(T, B, dtype=torch.float64))
    for b in range(B):
        recursion = oracles.Recursion(*arrays(made))
        if limits is not None:
            recursion = oracles.LimitedRecursion(*arrays(made), limits=(0.02, 0.1, -0.3, 0.35))
        for t in range(T):
            expected = recursion.step(x[t, b].detach().numpy())
            np.testing.assert_allclose(h[t, b].detach(), expected, rtol=0, atol=1e-13)


def test_the_published_stpn_layer() -> None:
    made = layer("stpn")
    x, _, _ = sequence()
    h, last = made(x, made.initial_state(B), torch.ones(T, B, dtype=torch.float64))
    for b in range(B):
        out, short_term = np.zeros(N), np.zeros((N, N_IN + N))
        for t in range(T):
            out, short_term = oracles.stpn_step(
                x[t, b].detach().numpy(), out, short_term, *arrays(made)
            )
            np.testing.assert_allclose(h[t, b].detach(), out, rtol=0, atol=1e-13)
        np.testing.assert_allclose(last.short_term[b].detach(), short_term, rtol=0, atol=1e-13)


def test_the_gradient_of_gamma_passes_limits_straight_through() -> None:
    made = layer(limits=WriteLimits(delta_f_min=10.0))
    x, _, _ = sequence()
    h, last = made(x[:1], made.initial_state(B), torch.ones(1, B, dtype=torch.float64))
    assert not last.short_term.any()
    (grad,) = torch.autograd.grad(last.short_term.sum(), made.gamma)
    z = torch.cat([x[0], torch.zeros(B, N, dtype=torch.float64)], dim=1)
    expected = sum(torch.outer(h[0, b], z[b]) for b in range(B))
    torch.testing.assert_close(grad, expected, rtol=0, atol=1e-14)


def test_limited_fractions_count_what_the_recursion_does() -> None:
    made = layer(limits=LIMITS)
    x, _, _ = sequence()
    ones = torch.ones(T, 1, dtype=torch.float64)
    counted = made.limited_fractions(x[:, :1], made.initial_state(1), ones)
    recursion = oracles.LimitedRecursion(*arrays(made), limits=(0.02, 0.1, -0.3, 0.35))
    updates = []
    for t in range(T):
        z = np.concatenate([x[t, 0].detach().numpy(), recursion.h])
        h = recursion.step(x[t, 0].detach().numpy())
        updates.append(np.abs(recursion.gamma * np.outer(h, z)))
    sizes = np.array(updates)
    total = recursion.weight + recursion.short_term
    assert counted == pytest.approx(
        {
            "not_issued": (sizes[sizes > 0] < 0.02).mean(),
            "clipped": (sizes[sizes >= 0.02] > 0.1).mean(),
            "at_window": ((total <= -0.3) | (total >= 0.35)).mean(),
        },
        rel=1e-6,
    )
    assert all(0 < share < 1 for share in counted.values())
    assert layer().limited_fractions(x[:, :1], made.initial_state(1), ones) == {}


def test_a_new_game_starts_from_zero() -> None:
    made = layer()
    x, state, keep = sequence()
    h, _ = made(x, state, keep)
    alone, _ = made(x[8:, 2:], made.initial_state(1), torch.ones(3, 1, dtype=torch.float64))
    np.testing.assert_allclose(h[8:, 2:].detach(), alone.detach(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("limits", [None, LIMITS])
@pytest.mark.parametrize("normalisation", ["none", "l2", "stpn"])
# float64: T steps of some ten roundings each; float32: the same with 2^-24 for 2^-53
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-12), (torch.float32, 3e-5)])
def test_fused_kernel_equals_eager(
    normalisation: str, dtype: torch.dtype, atol: float, limits: WriteLimits | None
) -> None:
    made = layer(normalisation, dtype, limits)
    x, state, keep = sequence(dtype)
    g = torch.Generator().manual_seed(2)
    grad_h = torch.randn(T, B, N, generator=g, dtype=dtype)
    grad_short_term = torch.randn(B, N, N_IN + N, generator=g, dtype=dtype)
    inputs = [x, *state, *made.parameters()]
    results = []
    for fused in (False, True):
        h, last = made(x, state, keep, fused=fused)
        loss = (h * grad_h).sum() + (last.short_term * grad_short_term).sum()
        results.append([h, *last, *torch.autograd.grad(loss, inputs)])
    for eager, from_kernel in zip(*results, strict=True):
        torch.testing.assert_close(from_kernel, eager, rtol=0, atol=atol)


def test_compiled_step_equals_eager() -> None:
    made = layer(limits=LIMITS)
    x, state, keep = sequence()
    parameters = (made.weight, made.decay, made.gamma, made.bias, made.config, None, None)
    arguments = (x[0], keep[0], state, *parameters)
    for compiled, eager in zip(compiled_step(*arguments), step_of(*arguments), strict=True):
        torch.testing.assert_close(compiled, eager, rtol=0, atol=1e-14)


@pytest.mark.parametrize("normalisation", ["none", "l2"])
def test_fused_gradients_against_finite_differences(normalisation: str) -> None:
    made = layer(normalisation)
    x, state, keep = sequence()

    def run(x: Tensor, h0: Tensor, trace0: Tensor, *_parameters: Tensor) -> tuple[Tensor, Tensor]:
        h, last = made(x, State(h0, trace0), keep, fused=True)
        return h, last.short_term

    assert torch.autograd.gradcheck(run, (x, *state, *made.parameters()), fast_mode=True)


@pytest.mark.parametrize("fused", [False, True])
def test_all_other_gradients_are_those_of_the_limited_recursion(fused: bool) -> None:
    """Against finite differences, which no update here is near enough to a limit to disturb."""
    made = layer(limits=WriteLimits(0.02, 0.1))
    made.gamma.requires_grad_(False)
    x, state, keep = sequence()
    shares = made.limited_fractions(x.detach(), State(*(s.detach() for s in state)), keep)
    assert 0.2 < shares["not_issued"] < 0.8
    assert 0.2 < shares["clipped"] < 0.8

    def run(x: Tensor, h0: Tensor, trace0: Tensor, *_parameters: Tensor) -> tuple[Tensor, Tensor]:
        h, last = made(x, State(h0, trace0), keep, fused=fused)
        return h, last.short_term

    learned = [p for p in made.parameters() if p.requires_grad]
    assert torch.autograd.gradcheck(run, (x, *state, *learned), fast_mode=True)


def test_gradients_stay_small_where_no_update_is_issued() -> None:
    """Gamma far below any pulse: the layer is one of W alone, and so are its gradients."""
    made = layer(limits=WriteLimits(delta_f_min=1.0))
    x, state, keep = sequence()
    still = State(state.h, torch.zeros_like(state.short_term))
    h, _ = made(x, still, keep, fused=True)
    got = torch.autograd.grad(h.sum(), [x, made.weight, made.bias])
    out, total = state.h, torch.zeros((), dtype=torch.float64)
    for x_t, keep_t in zip(x, keep, strict=True):
        z = torch.cat([x_t, out * keep_t[:, None]], dim=1)
        out = torch.tanh(z @ made.weight.T + made.bias)
        total = total + out.sum()
    expected = torch.autograd.grad(total, [x, made.weight, made.bias])
    for ours, other in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, other, rtol=0, atol=1e-12)


def inside(state: State, made: STHebbLayer, limits: WriteLimits) -> State:
    """A state whose W + F is within the window, as any that the layer reaches."""
    low, high = limits.total_min - made.weight, limits.total_max - made.weight
    return State(state.h, state.short_term.clamp(low, high).detach().requires_grad_())


@pytest.mark.parametrize("limits", [None, LIMITS])
@pytest.mark.parametrize("bias_lines", ["synapse", "neuron", "input", "block", "array"])
def test_joules_and_their_gradients_are_those_of_a_plain_sum(
    bias_lines: str, limits: WriteLimits | None
) -> None:
    """Against autograd through the eager recursion, with silent inputs and games that end."""
    made = layer(limits=limits, bias_lines=bias_lines)
    x, state, keep = sequence()
    x = functional.relu(x).detach().requires_grad_()
    if limits is not None:
        state = inside(state, made, limits)
    c = CHARGES
    h, last, spent = made.spend(x, state, keep, c)
    volts = 0.3 + 0.15 * torch.log(made.decay / (1 - made.decay))
    volts = volts.clamp(0.05, 0.55)
    share = (1 - made.decay) / torch.log(1 / made.decay)
    pulse = bias = read = torch.zeros(())
    rows = torch.zeros(T, B, dtype=torch.float64)
    now = state
    for t in range(T):
        short_term = now.short_term * keep[t][:, None, None]
        z = torch.cat([x[t], now.h * keep[t][:, None]], dim=1)
        conductance = 0.9 + 0.7 * (made.weight + short_term)
        read = read + 0.8**2 * 1.5 * (z.abs()[:, None] * conductance).sum()
        bias = bias + 0.6 * (volts**2 * (0.9 + 0.7 * (made.weight + share * short_term))).sum()
        now = step_of(
            x[t], keep[t], now, made.weight, made.decay, made.gamma, made.bias, made.config,
            None, None,
        )  # fmt: skip
        size = (made.gamma * torch.einsum("bi,bj->bij", now.h, z)).abs()
        issued = size > 0
        if limits is not None:
            issued, size = size >= limits.delta_f_min, size.clamp(max=limits.delta_f_max)
        size = torch.where(issued, size, 1.0)
        pulse = pulse + 1.3 * torch.where(issued, size**0.5, 0.0).sum()
        rows[t] = issued.any(1).sum(1)
    torch.testing.assert_close(h[-1], now.h, rtol=0, atol=1e-12)
    torch.testing.assert_close(last.short_term, now.short_term, rtol=0, atol=1e-12)
    assert torch.equal(spent.rows, rows)
    plain = {"pulse": pulse / (T * B), "bias": bias / (T * B), "read": read / (T * B)}
    inputs = [x, *state, *made.parameters()]
    for term, expected in plain.items():
        got = spent.joules[term]
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=0)
        of_kernel = torch.autograd.grad(got, inputs, retain_graph=True)
        eager = torch.autograd.grad(expected, inputs, retain_graph=True, allow_unused=True)
        for value, grad, other in zip(inputs, of_kernel, eager, strict=True):
            other = torch.zeros_like(value) if other is None else other
            if value is x:  # silent inputs are behind a ReLU
                other = other * (x > 0)
            torch.testing.assert_close(grad, other, rtol=1e-9, atol=1e-12)


def test_joules_scale_with_what_they_are_made_of() -> None:
    made = layer()
    x, state, keep = sequence()
    once = made.spend(x, state, keep, CHARGES)[2].joules
    other = CHARGES._replace(
        unit_pulse=2.6, step_duration=1.8, decay_duration=1.8, read_duration=6.0
    )
    many = made.spend(x, state, keep, other)[2].joules
    ratios = {term: (many[term] / once[term]).item() for term in once}
    assert ratios == pytest.approx({"pulse": 2, "bias": 3, "read": 4}, rel=1e-12)


def test_a_lambda_of_another_step_is_held_by_another_voltage() -> None:
    made = layer()
    voltage = made.bias_voltage(CHARGES._replace(step_duration=0.2)).detach()
    wanted = 0.3 + 0.15 * torch.logit(made.decay.detach() ** 3)
    torch.testing.assert_close(voltage, wanted.clamp(0.05, 0.55), rtol=1e-12, atol=1e-14)
    assert ((voltage > 0.05) & (voltage < 0.55)).any()


@pytest.mark.parametrize("limits", [None, LIMITS])
@pytest.mark.parametrize("std", [0.0, 0.4])
def test_step_by_step_is_the_same_as_the_whole_sequence(
    limits: WriteLimits | None, std: float
) -> None:
    made = layer(limits=limits)
    x, state, keep = sequence()
    x = functional.relu(x).detach()
    if limits is not None:
        state = inside(state, made, limits)
    state = State(*(s.detach() for s in state))
    noise = CycleNoise(std, torch.tensor([3, 1, 4]), torch.tensor(7)) if std else None
    h, last = made(x, state, keep, noise=noise)
    stepper = made.stepper(state, noise)
    steps = torch.stack([stepper.step(x[t], keep[t]) for t in range(T)])
    torch.testing.assert_close(steps, h.detach(), rtol=0, atol=1e-12)
    for got, expected in zip(stepper.state(), last, strict=True):
        torch.testing.assert_close(got, expected.detach(), rtol=0, atol=1e-12)


def test_without_feedback_h_is_not_part_of_z() -> None:
    made = layer(feedback=False)
    assert made.weight.shape == (N, N_IN)
    x, _, _ = sequence()
    ones = torch.ones(T, B, dtype=torch.float64)
    for fused in (False, True):
        h, _ = made(x, made.initial_state(B), ones, fused=fused)
        weight, decay, gamma, bias = arrays(made)
        for b in range(B):
            short_term = np.zeros_like(weight)
            for t in range(T):
                z = x[t, b].detach().numpy()
                out = np.tanh((weight + short_term) @ z + bias)
                short_term = decay * short_term + gamma * np.outer(out, z)
                np.testing.assert_allclose(h[t, b].detach(), out, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("bias_lines", "n_values"),
    [("synapse", N * (N_IN + N)), ("neuron", N), ("input", N_IN + N), ("block", 2), ("array", 1)],
)
def test_synapses_on_one_line_have_one_lambda(bias_lines: str, n_values: int) -> None:
    made = layer(bias_lines=bias_lines)
    with torch.no_grad():
        made.decay_logit.copy_(torch.linspace(-1, 1, n_values).view_as(made.decay_logit))
    decay = made.decay.detach().numpy()
    assert len(np.unique(decay)) == n_values
    if bias_lines in ("neuron", "array"):
        assert (decay == decay[:, :1]).all()
    if bias_lines in ("input", "array"):
        assert (decay == decay[:1]).all()
    if bias_lines == "block":
        assert len(np.unique(decay[:, :N_IN])) == len(np.unique(decay[:, N_IN:])) == 1
    back = line_values(bias_lines, decay, N_IN)
    np.testing.assert_allclose(back, made.decay_lines.detach(), rtol=1e-14)


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
    front_end.rescale(PixelScale(87, 64))
    assert front_end.pixels == (87, 64)
    torch.testing.assert_close(front_end(frames), x, rtol=0, atol=1e-13)
    scaled = (frames[:, None].double() - 87) / 64
    x = functional.relu(functional.conv2d(scaled, one.weight, one.bias, stride=4))
    x = functional.relu(functional.conv2d(x, two.weight, two.bias, stride=2)).flatten(1)
    torch.testing.assert_close(front_end(frames), x, rtol=0, atol=1e-13)


def test_contrast_alone_leaves_uniform_frames_silent_but_for_lit_channels() -> None:
    torch.manual_seed(3)
    front_end = FrontEnd().double()
    one, two = front_end.conv1.bias, front_end.conv2.bias
    assert one is not None
    assert two is not None
    with torch.no_grad():
        one.uniform_(-0.1, 0.1)
        two.uniform_(0.05, 0.1)
    lit = two[:2].detach().clone()
    front_end.see_contrast_only(2)
    levels = torch.tensor([0, 87, 255], dtype=torch.uint8)
    features = front_end(levels[:, None, None].expand(3, 84, 84)).detach()
    expected = torch.zeros(32, 81, dtype=torch.float64)
    expected[:2] = lit[:, None]
    # the kernels' sums of 64 numbers of about 0.1 are 0 but for rounding
    torch.testing.assert_close(features, expected.reshape(1, -1).expand(3, -1), rtol=0, atol=1e-13)
    spot = torch.full((1, 84, 84), 87, dtype=torch.uint8)
    spot[0, 40:42, 40:43] = 236
    assert (front_end(spot) - features[:1]).abs().max() > 1e-3


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
    with pytest.raises(ValueError, match="normalisation must be one of none, l2, stpn, got"):
        config("batch")
    with pytest.raises(ValueError, match=r"0 <= decay_min <= decay_max < 1, got 0\.9 and 0\.1"):
        TwinConfig(N, 6, "none", 0.9, 0.1)
    with pytest.raises(ValueError, match=r"delta_f_min <= delta_f_max, got 0\.2 and 0\.1"):
        WriteLimits(0.2, 0.1)
    with pytest.raises(ValueError, match="total_min must be below total_max, got 1 and -1"):
        WriteLimits(total_min=1, total_max=-1)
