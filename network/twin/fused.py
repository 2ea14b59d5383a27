"""The fused CPU kernel as a torch operation, and as a layer that plays step by step."""

from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mstpn.network.twin import kernel

__all__ = ["FusedRecursion", "FusedStepper", "layer_arrays"]

Array = NDArray[Any]


class FusedRecursion(torch.autograd.Function):
    """``(x, h0, F0, keep, W, Lambda, Gamma, held, b, gain, normalise, pulses, charged)`` to sums.

    Returns ``(h, F, pulse, read, held, rows)``: h of every step (T, B, N), F after the last one
    (B, N, M), and the sums of `mstpn.network.twin.kernel.forward`, of which `rows` has no gradient.

    All tensors are on the CPU and of one floating type, of the shapes that the layer has them
    in, (N, M); F is transposed in memory, as it is returned. ``keep``, ``gain``, ``normalise``,
    ``pulses`` and ``charged`` get no gradient. It runs on as many threads as torch.
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        """Run, and keep what the gradient needs."""
        _share_threads()
        *tensors, normalise, pulses, charged = inputs
        x, h0, trace0, keep, *layer = (t.detach() for t in tensors)
        x, h0, keep = (t.contiguous().numpy() for t in (x, h0, keep))
        trace0 = trace0.transpose(1, 2).contiguous().numpy()
        parameters = layer_arrays(*layer, exponent=pulses.exponent)
        trace, seen = trace0.copy(), np.zeros(trace0.shape[:2], np.int64)
        visits = kernel.no_visits(h0)
        if any(ctx.needs_input_grad) or charged:
            visits = _visits(x, h0.shape[1], trace0.shape[1] > x.shape[2])
        h, sums, held = kernel.forward(
            *(x, h0, trace, seen, 0, keep, parameters, normalise, pulses, visits, charged)
        )
        if not len(visits.row):
            kernel.settle(trace, seen, len(x), parameters.decay)
        ctx.inputs = x, h0, trace0, keep, parameters, normalise, pulses, h, visits
        pulse, read, rows = (torch.from_numpy(s) for s in sums)
        ctx.mark_non_differentiable(rows)
        trace = torch.from_numpy(trace).transpose(1, 2)
        return torch.from_numpy(h), trace, pulse, read, torch.from_numpy(held), rows

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients in the order of `forward`'s arguments."""
        grad_h, grad_trace, *of_sums = grads[:5]
        dx, dh0, dtrace0, *of_layer, dbias = (
            torch.from_numpy(a)
            for a in kernel.backward(
                grad_h.contiguous().numpy(),
                grad_trace.transpose(1, 2).contiguous().numpy(),
                *(g.contiguous().numpy() for g in of_sums),
                *ctx.inputs,
            )
        )
        transposed = (g.T for g in of_layer)
        return (dx, dh0, dtrace0.transpose(1, 2), None, *transposed, dbias, *(None,) * 4)


def layer_arrays(
    weight: Tensor,
    decay: Tensor,
    gamma: Tensor,
    held: Tensor,
    bias: Tensor,
    gain: Tensor,
    *,
    exponent: float,
) -> kernel.Layer:
    """What the kernel takes, from (N, M) each but the bias."""

    def transposed(values: Tensor) -> Array:
        return values.detach().T.contiguous().numpy()

    return kernel.Layer(
        weight=transposed(weight),
        decay=transposed(decay),
        gamma=transposed(gamma),
        gamma_power=transposed(gamma.detach().abs() ** exponent),
        gain=transposed(gain),
        held=transposed(held),
        bias=bias.detach().contiguous().numpy(),
    )


def _visits(x: Array, n_out: int, feedback: bool) -> kernel.Visits:
    """Room for the visits of a batch of sequences, (T, B, I)."""
    n_steps, n_batch = x.shape[:2]
    ends = (np.count_nonzero(x, axis=2).sum(0) + n_steps * n_out * feedback).cumsum()
    starts = np.zeros((n_batch, n_steps + 1), np.int64)
    starts[1:, 0] = ends[:-1]
    before, after = np.empty((2, ends[-1], n_out), x.dtype)
    return kernel.Visits(before, after, np.empty(ends[-1], np.int64), starts)


class FusedStepper:
    """Plays a batch of games step by step, with F brought up to date where it is read.

    Parameters
    ----------
    layer : tuple
        From `layer_arrays`.
    normalise : bool
    pulses : Pulses
    h, trace : Tensor, (B, N) and (B, N, M)
        Before the first step.
    """

    def __init__(
        self, layer: kernel.Layer, normalise: bool, pulses: kernel.Pulses, h: Tensor, trace: Tensor
    ) -> None:
        self._layer, self._normalise, self._pulses = layer, normalise, pulses
        self._h = h.numpy().copy()
        self._trace = trace.transpose(1, 2).contiguous().numpy().copy()
        self._seen = np.zeros(self._trace.shape[:2], np.int64)
        self._no_visits = kernel.no_visits(self._h)
        self.n_steps = 0

    def step(self, x: Tensor, keep: Tensor) -> Tensor:
        """Play one step; see `mstpn.network.twin.layer.Stepper`."""
        _share_threads()
        h, *_ = kernel.forward(
            *(x[None].contiguous().numpy(), self._h, self._trace, self._seen, self.n_steps),
            *(keep[None].contiguous().numpy(), self._layer, self._normalise, self._pulses),
            *(self._no_visits, False),
        )
        self._h = h[0]
        self.n_steps += 1
        return torch.from_numpy(self._h.copy())

    def state(self) -> tuple[Tensor, Tensor]:
        """H and F now; the stepper is not to be used any more."""
        kernel.settle(self._trace, self._seen, self.n_steps, self._layer.decay)
        return torch.from_numpy(self._h), torch.from_numpy(self._trace).transpose(1, 2)


def _share_threads() -> None:
    """Give Numba torch's thread count; its first launch would raise that of torch to all cores."""
    n_threads = torch.get_num_threads()
    numba.set_num_threads(min(n_threads, numba.config.NUMBA_NUM_THREADS))
    torch.set_num_threads(n_threads)
