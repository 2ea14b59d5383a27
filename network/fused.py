"""The fused CPU kernel as a torch operation."""

from typing import Any

import torch
from torch import Tensor

from mstpn.network import kernel
from mstpn.network.normalisation import NORM_FLOOR

__all__ = ["FusedRecursion"]


class FusedRecursion(torch.autograd.Function):
    """``(x, h0, trace0, keep, W, Lambda, Gamma, b, normalise) -> (h, trace)``.

    Shapes as in `mstpn.network.kernel.forward`. All tensors are on the CPU and of one
    floating type; ``keep`` and ``normalise`` get no gradient.
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor]:
        """Return h of every step and F after the last one."""
        *tensors, normalise = inputs
        x, h0, trace0, keep, weight, decay, gamma, bias = (
            t.detach().contiguous().numpy() for t in tensors
        )
        trace = trace0.copy()
        needs_backward = any(ctx.needs_input_grad)
        n_kept = -(-len(x) // kernel.SEGMENT) if needs_backward else 0
        h, kept = kernel.forward(x, h0, trace, keep, weight, decay, gamma, bias, normalise, n_kept)
        if needs_backward:
            ctx.arrays = x, h0, keep, weight, decay, gamma, h, kept, normalise
        return torch.from_numpy(h), torch.from_numpy(trace)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients in the order of `forward`'s arguments."""
        grad_h, grad_trace = (g.contiguous().numpy() for g in grads)
        dx, dh0, dtrace0, ddecay, dgamma, da = (
            torch.from_numpy(a) for a in kernel.backward(grad_h, grad_trace, *ctx.arrays)
        )
        x, h0, keep, *_, h, _kept, normalise = (
            torch.from_numpy(a) if hasattr(a, "dtype") else a for a in ctx.arrays
        )
        before = torch.cat([h0[None], h[:-1]]) * keep[..., None]
        z = torch.cat([x, before], dim=2)
        if normalise:
            z = z / z.norm(dim=-1, keepdim=True).clamp_min(NORM_FLOOR)
        da, z = da.flatten(0, 1), z.flatten(0, 1)
        return dx, dh0, dtrace0, None, da.T @ z, ddecay, dgamma, da.sum(0), None
