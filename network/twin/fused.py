"""The fused CPU kernel as a torch operation, and as a layer that plays step by step."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mstpn.network.twin import kernel
from mstpn.network.twin.backward import backward
from mstpn.network.twin.forward import forward, settle
from mstpn.network.twin.threads import N_PARTS, share_threads

__all__ = ["FusedRecursion", "FusedStepper", "layer_arrays"]

Array = NDArray[Any]


class FusedRecursion(torch.autograd.Function):
    """``(x, h0, F0, keep, W, Lambda, Gamma, held, b, gain, normalise, pulses, charged)`` to sums.

    Returns ``(h, F, pulse, read, held, rows)``: h of every step (T, B, N), F after the last one
    (B, N, M), and the sums of `mstpn.network.twin.forward.forward`, of which `rows` has no
    gradient.

    All tensors are on the CPU and of one floating type, of the shapes that the layer has them
    in, (N, M); F is transposed in memory, as it is returned. ``keep``, ``gain``, ``normalise``,
    ``pulses`` and ``charged`` get no gradient. It runs on as many threads as torch.
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        """Run, and keep what the gradient needs."""
        share_threads()
        *tensors, normalise, pulses, charged = inputs
        x, h0, short_term0, keep, *layer = (t.detach() for t in tensors)
        x, h0, keep = (t.contiguous().numpy() for t in (x, h0, keep))
        short_term0 = short_term0.transpose(1, 2).contiguous().numpy()
        parameters = layer_arrays(*layer, exponent=pulses.exponent)
        short_term, seen = short_term0.copy(), np.zeros(short_term0.shape[:2], np.int64)
        record, from_short_term = kernel.Record.none(h0), ctx.needs_input_grad[2]
        if any(ctx.needs_input_grad) or charged:
            record = kernel.Record.room(x, keep, h0.shape[1], short_term0.shape[1])
        h, sums, held = forward(
            *(x, h0, short_term, seen, 0, keep, parameters, normalise, pulses, record),
            *(charged, from_short_term),
        )
        if not len(record.starts):
            settle(short_term, seen, len(x), parameters.synapses)
        ctx.inputs = x, h0, keep, parameters, normalise, pulses, h, record
        ctx.set_materialize_grads(False)
        pulse, read, rows = (torch.from_numpy(s) for s in sums)
        ctx.mark_non_differentiable(rows)
        short_term = torch.from_numpy(short_term).transpose(1, 2)
        return torch.from_numpy(h), short_term, pulse, read, torch.from_numpy(held), rows

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients in the order of `forward`'s arguments."""
        x, h0, _, parameters, *_, h, _ = ctx.inputs
        grad_h, grad_short_term, *of_sums = grads[:5]
        n_batch, from_short_term = len(h0), ctx.needs_input_grad[2]
        if grad_short_term is not None:
            d_short_term = grad_short_term.transpose(1, 2).numpy().copy()
        else:
            n_rooms = n_batch if from_short_term else N_PARTS
            d_short_term = np.zeros((n_rooms, *parameters.synapses[:, 0].shape), x.dtype)
        of_steps = [_dense(g, h.shape[:2], x.dtype) for g in of_sums[:2]]
        dx, dh0, of_synapses, dbias = (
            torch.from_numpy(a)
            for a in backward(
                *(_dense(grad_h, h.shape, x.dtype), d_short_term, *of_steps),
                *(_dense(of_sums[2], (n_batch,), x.dtype), *ctx.inputs),
            )
        )
        d_short_term0 = torch.from_numpy(d_short_term).transpose(1, 2) if from_short_term else None
        return (dx, dh0, d_short_term0, None, *of_synapses, dbias, *(None,) * 4)


def _dense(grad: Tensor | None, shape: tuple[int, ...], dtype: Any) -> Array:
    return np.zeros(shape, dtype) if grad is None else grad.contiguous().numpy()


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
    of = kernel.Of
    synapses = weight.new_empty(weight.shape[1], len(of), len(weight))
    for which, values in (
        *((of.W, weight), (of.DECAY, decay), (of.GAMMA, gamma), (of.GAIN, gain)),
        *((of.POWER, gamma.detach().abs() ** exponent), (of.HELD, held)),
        (of.SPAN, 1 / (1 - decay.detach())),
    ):
        synapses[:, which] = values.detach().T
    return kernel.Layer(synapses.numpy(), bias.detach().contiguous().numpy())


class FusedStepper:
    """Plays a batch of games step by step, with F brought up to date where it is read.

    Parameters
    ----------
    layer : tuple
        From `layer_arrays`.
    normalise : bool
    pulses : Pulses
    h, short_term : Tensor, (B, N) and (B, N, M)
        Before the first step.
    """

    def __init__(
        self,
        layer: kernel.Layer,
        normalise: bool,
        pulses: kernel.Pulses,
        h: Tensor,
        short_term: Tensor,
    ) -> None:
        self._layer, self._normalise, self._pulses = layer, normalise, pulses
        self._h = h.numpy().copy()
        self._trace = short_term.transpose(1, 2).contiguous().numpy().copy()
        self._seen = np.zeros(self._trace.shape[:2], np.int64)
        self._no_record = kernel.Record.none(self._h)
        self.n_steps = 0

    def step(self, x: Tensor, keep: Tensor) -> Tensor:
        """Play one step; see `mstpn.network.twin.layer.Stepper`."""
        share_threads()
        h, *_ = forward(
            *(x[None].contiguous().numpy(), self._h, self._trace, self._seen, self.n_steps),
            *(keep[None].contiguous().numpy(), self._layer, self._normalise, self._pulses),
            *(self._no_record, False, False),
        )
        self._h = h[0]
        self.n_steps += 1
        return torch.from_numpy(self._h.copy())

    def state(self) -> tuple[Tensor, Tensor]:
        """H and F now; the stepper is not to be used any more."""
        settle(self._trace, self._seen, self.n_steps, self._layer.synapses)
        return torch.from_numpy(self._h), torch.from_numpy(self._trace).transpose(1, 2)
