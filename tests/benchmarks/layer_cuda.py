"""The layer on a GPU against the eager one in float64 on the CPU, and its speed there.

python tests/benchmarks/layer_cuda.py --json layer_cuda.json

Within the device's limits, forward and backward: a rollout of 64 steps of 16 games, some 5 % of
the inputs active, eager and with each step compiled by torch.
"""

import argparse
import copy
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mstpn.bridge.training.options import Options
from mstpn.network.front_end import N_FEATURES
from mstpn.network.twin.config import TwinConfig
from mstpn.network.twin.layer import STHebbLayer
from mstpn.synapses.support.files import write_json

T, B, REPEATS = 64, 16, 5


def gradients(
    layer: STHebbLayer, x: Tensor, keep: Tensor, weights: Tensor, *, fused: bool
) -> dict[str, Tensor]:
    """H, F and the gradients of a weighted sum of h, on the CPU in float64."""
    h, state = layer(x, layer.initial_state(B), keep, fused=fused)
    (h * weights).sum().backward()
    of = {"h": h, "F": state.short_term}
    of |= {name: p.grad for name, p in layer.named_parameters() if p.grad is not None}
    return {name: tensor.detach().double().cpu() for name, tensor in of.items()}


def main() -> None:
    """Compare, measure, print."""
    parser = argparse.ArgumentParser(description="The layer on a GPU.")
    parser.add_argument("--torch-device", default="cuda")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    arrays = [
        torch.relu(torch.randn(T, B, N_FEATURES) - 1.6),
        (torch.rand(T, B) > 0.02).double(),
        torch.randn(T, B, 64),
    ]
    limits = Options(out="").write_limits
    reference = STHebbLayer(N_FEATURES, TwinConfig(64, 6, "none", 0.08, 0.92, limits)).double()
    with torch.no_grad():
        reference.gamma.mul_(300)  # so that pulses are issued
    exact = gradients(copy.deepcopy(reference), *(a.double() for a in arrays), fused=False)
    rows: list[dict[str, Any]] = []
    for dtype in (torch.float32, torch.float64):
        for fused in (False, True):
            layer = copy.deepcopy(reference).to(options.torch_device, dtype)
            there = [a.to(options.torch_device, dtype) for a in arrays]
            made = gradients(layer, *there, fused=fused)
            errors = {n: float((made[n] - exact[n]).norm() / exact[n].norm()) for n in exact}
            started = time.perf_counter()
            for _ in range(REPEATS):
                gradients(layer, *there, fused=fused)
            rate = REPEATS * T * B / (time.perf_counter() - started)
            rows.append(
                {"dtype": str(dtype), "compiled": fused, "agent_steps_per_s": rate} | errors
            )
            print(rows[-1])
    if options.json:
        write_json(options.json, {"device": options.torch_device, "rows": rows})


if __name__ == "__main__":
    main()
