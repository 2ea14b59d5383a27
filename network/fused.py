"""The fused CPU kernel as a torch operation."""

from typing import Any

import numba
import torch
from torch import Tensor

from mstpn.network import kernel
from mstpn.network.normalisation import NORM_FLOOR

__all__ = ["FusedRecursion"]


class FusedRecursion(torch.autograd.Function):
    """``(x, h0, trace0, keep, W, Lambda, Gamma, b, mode, pulses) -> (h, trace)``.

    Shapes as in `mstpn.network.kernel.forward`. All tensors are on the CPU and of one
    floating type; ``keep``, ``mode`` and ``pulses`` get no gradient. It runs on as many
    threads as torch.
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor]:
        """Return h of every step and F after the last one."""
        _share_threads()
        *tensors, mode, pulses = inputs
        x, h0, trace0, keep, weight, decay, gamma, bias = (
            t.detach().contiguous().numpy() for t in tensors
        )
        trace = trace0.copy()
        needs_backward = any(ctx.needs_input_grad)
        n_kept = -(-len(x) // kernel.SEGMENT) if needs_backward else 0
        h, kept = kernel.forward(
            x, h0, trace, keep, weight, decay, gamma, bias, mode, pulses, n_kept
        )
        if needs_backward:
            ctx.inputs = x, h0, keep, weight, decay, gamma, h, kept, mode, pulses
        return torch.from_numpy(h), torch.from_numpy(trace)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients in the order of `forward`'s arguments."""
        grad_h, grad_trace = (g.contiguous().numpy() for g in grads)
        dx, dh0, dtrace0, ddecay, dgamma, dbias, ds, through_norm = (
            torch.from_numpy(a) for a in kernel.backward(grad_h, grad_trace, *ctx.inputs)
        )
        x, h0, keep, h = (torch.from_numpy(ctx.inputs[k]) for k in (0, 1, 2, 6))
        mode = ctx.inputs[8]
        before = torch.cat([h0[None], h[:-1]]) * keep[..., None]
        z = torch.cat([x, before], dim=2)
        if mode == kernel.MODES["l2"]:
            z = z / z.norm(dim=-1, keepdim=True).clamp_min(NORM_FLOOR)
        dweight = ds.flatten(0, 1).T @ z.flatten(0, 1)
        if mode == kernel.MODES["stpn"]:
            dweight += through_norm
        return dx, dh0, dtrace0, None, dweight, ddecay, dgamma, dbias, None, None


def _share_threads() -> None:
    """Give Numba torch's thread count; its first launch would raise that of torch to all cores."""
    n_threads = torch.get_num_threads()
    numba.set_num_threads(min(n_threads, numba.config.NUMBA_NUM_THREADS))
    torch.set_num_threads(n_threads)
