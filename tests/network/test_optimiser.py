"""Lambda is learned, however small its gradient."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mstpn.network.twin.layer import STHebbLayer, TwinConfig
from mstpn.network.twin.optimiser import adam

CUE, GAMMA, WEIGHT = 1.5, 0.4, 0.5
STEPS = 4


def recalled(decay: float) -> float:
    """h at the second of two equal inputs, STEPS steps after the first, in closed form."""
    trace = decay ** (STEPS - 1) * GAMMA * np.tanh(WEIGHT * CUE) * CUE
    return float(np.tanh((WEIGHT + trace) * CUE))


def recalling_layer(decay: float, bias_lines: str) -> STHebbLayer:
    layer = STHebbLayer(1, TwinConfig(1, 1, "none", 0.08, 0.92, None, bias_lines, False))
    with torch.no_grad():
        layer.weight.fill_(WEIGHT)
        layer.gamma.fill_(GAMMA)
        layer.bias.zero_()
        layer.decay_logit.fill_(np.log((decay - 0.08) / (0.92 - decay)))
    for name, parameter in layer.named_parameters():
        parameter.requires_grad_(name == "decay_logit")
    return layer


def recall(layer: STHebbLayer) -> Tensor:
    x = torch.zeros(STEPS + 1, 1, 1)
    x[0] = x[-1] = CUE
    h, _ = layer(x, layer.initial_state(1), torch.ones(STEPS + 1, 1), fused=True)
    return h[-1, 0, 0]


@pytest.mark.parametrize("bias_lines", ["synapse", "array"])
@pytest.mark.parametrize("scale", [1.0, 1e-6])
@pytest.mark.parametrize(("start", "right"), [(0.2, 0.8), (0.8, 0.3)])
def test_only_the_right_lambda_solves_the_task_and_it_is_found(
    start: float, right: float, scale: float, bias_lines: str
) -> None:
    """With `scale` its gradient is as small as that of one of 169,984 synapses."""
    layer = recalling_layer(start, bias_lines)
    optimiser = adam(layer, 0.01, epsilon=1e-5)
    for _ in range(800):
        loss = scale * (recall(layer) - recalled(right)) ** 2
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(layer.decay.detach()) == pytest.approx(right, abs=0.01)


def test_lambda_has_its_own_rate_and_what_is_fixed_is_left_out() -> None:
    layer = STHebbLayer(3, TwinConfig(2, 1, "none", 0.08, 0.92))
    layer.gamma.requires_grad_(False)
    others, decay = adam(layer, 0.01, epsilon=1e-5, decay_rate=5).param_groups
    assert (others["lr"], others["eps"], decay["lr"]) == (0.01, 1e-5, 0.05)
    assert decay["params"][0] is layer.decay_logit
    assert {id(p) for p in others["params"]} == {id(layer.weight), id(layer.bias)}
