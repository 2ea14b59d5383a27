"""The m-STPN layer, forward and backward: fused kernel against eager autograd, in one run.

python tests/benchmarks/layer.py --rollout-length 64
"""

import argparse
import resource
import time

import torch

from mstpn.network.twin.agent import FrontEnd
from mstpn.network.twin.layer import State, STHebbLayer, TwinConfig
from mstpn.network.twin.memory import keep_freed_memory


def seconds(layer: STHebbLayer, x: torch.Tensor, *, fused: bool, repeats: int) -> float:
    """Best time of one forward and backward pass."""
    n_steps, n_batch = x.shape[:2]
    keep = torch.ones(n_steps, n_batch)
    best = float("inf")
    for _ in range(repeats):
        state = State(*(s.clone() for s in layer.initial_state(n_batch)))
        started = time.perf_counter()
        h, _ = layer(x, state, keep, fused=fused)
        h.square().sum().backward()
        best = min(best, time.perf_counter() - started)
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Fused layer against eager layer.")
    parser.add_argument("--n-envs", type=int, default=16)
    parser.add_argument("--rollout-length", type=int, default=64)
    parser.add_argument("--active", type=float, default=1.0, help="share of the inputs that are")
    options = parser.parse_args()
    keep_freed_memory()
    torch.manual_seed(0)
    layer = STHebbLayer(FrontEnd.n_features, TwinConfig(64, 6, "none", 0.08, 0.92))
    shape = (options.rollout_length, options.n_envs, FrontEnd.n_features)
    x = (torch.rand(shape) * (torch.rand(shape) < options.active)).requires_grad_()
    n = options.rollout_length * options.n_envs
    print(
        f"{options.n_envs} sequences of {options.rollout_length} steps, "
        f"{options.active:.0%} of the inputs active, float32"
    )
    times = {}
    for name, fused, repeats in (("fused", True, 4), ("eager", False, 2)):
        times[name] = seconds(layer, x, fused=fused, repeats=repeats)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{name}: {n / times[name]:8.0f} agent steps/s, peak memory {peak:.1f} GiB")
    print(f"fused / eager: {times['eager'] / times['fused']:.1f}")


if __name__ == "__main__":
    main()
