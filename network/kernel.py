"""Fused CPU kernel of the m-STPN recursion and its hand-written backward pass.

The recursion is that of `mstpn.network.twin`; ``keep(t) = 0`` starts a new game before
step t: F and h are zeroed.

The backward pass needs F(t) of every step. Storing it costs N * M floats a step, so
the forward pass keeps F only every `SEGMENT` steps and the backward pass recomputes
one segment at a time, which stays in the last-level cache.

Loops are split so that each writes one array: LLVM then proves the absence of
aliasing with few run-time checks and vectorises all of them.
"""

import math
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from mstpn.network.normalisation import NORM_FLOOR
from mstpn.synapses.nonidealities import NOISE_UNIT, noise_level
from mstpn.synapses.write_limits import issued_update, windowed_trace

__all__ = ["MODES", "SEGMENT", "Pulses", "backward", "forward"]

SEGMENT = 8
MODES = {"none": 0, "l2": 1, "stpn": 2}
"""Numbers of the normalisations."""
_L2, _STPN = MODES["l2"], MODES["stpn"]

Array = NDArray[Any]
"""float32 or float64, all of a call alike."""


class Pulses(NamedTuple):
    """How updates are issued.

    Parameters
    ----------
    delta_f_min, delta_f_max, total_min, total_max : float
        As in `WriteLimits`.
    gain : (N, M)
        Of the updates, from device to device.
    std : float
        Standard deviation of the noise from pulse to pulse.
    keys : (B,) of int64
        Seeds of that noise.
    first_step : int
        Number of the first step.
    """

    delta_f_min: float
    delta_f_max: float
    total_min: float
    total_max: float
    gain: Array
    std: float
    keys: Array
    first_step: int


_issued_update = numba.njit(issued_update)
_windowed_trace = numba.njit(windowed_trace)
_noise_level = numba.njit(noise_level)


@numba.njit(fastmath=True, inline="never")
def _dot_sum(w: Array, f: Array, z: Array) -> float:
    total = w.dtype.type(0)
    for j in range(z.shape[0]):
        total += (w[j] + f[j]) * z[j]
    return total


@numba.njit(fastmath=True, inline="never")
def _dot_product(p: Array, gamma: Array, z: Array) -> float:
    total = z.dtype.type(0)
    for j in range(z.shape[0]):
        total += p[j] * gamma[j] * z[j]
    return total


@numba.njit(fastmath=True, inline="never")
def _step_trace(f: Array, decay: Array, gamma: Array, z: Array, h: float, scale: float) -> None:
    for j in range(z.shape[0]):
        f[j] = decay[j] * (f[j] * scale) + gamma[j] * (z[j] * h)


@numba.njit(fastmath=True, inline="never")
def _step_trace_into(
    f: Array, decay: Array, gamma: Array, z: Array, h: float, scale: float, f_next: Array
) -> None:
    for j in range(z.shape[0]):
        f_next[j] = decay[j] * (f[j] * scale) + gamma[j] * (z[j] * h)


@numba.njit(inline="never")
def _step_trace_limited(
    f: Array,
    decay: Array,
    gamma: Array,
    z: Array,
    h: float,
    scale: float,
    w: Array,
    pulses: Pulses,
    place: tuple[int, int, int, int],
    f_next: Array,
) -> None:
    least, most, low, high, gain, std, keys, first_step = pulses
    b, t, i, n_out = place
    for j in range(z.shape[0]):
        update = f.dtype.type(0)
        g = gain[i, j]
        if g > 0:
            update = _issued_update(gamma[j] * (z[j] * h), least * g, most * g)
        if std > 0:
            noise = _noise_level(keys[b], first_step + t, j * n_out + i) * NOISE_UNIT
            update *= max(1 + std * noise, 0.0)
        f_next[j] = _windowed_trace(decay[j] * (f[j] * scale) + update, w[j], low, high)


@numba.njit(fastmath=True, inline="never")
def _inverse_norm(w: Array, f: Array) -> float:
    square = w.dtype.type(0)
    for j in range(w.shape[0]):
        square += (w[j] + f[j]) * (w[j] + f[j])
    return w.dtype.type(1) / max(w.dtype.type(math.sqrt(square)), w.dtype.type(NORM_FLOOR))


@numba.njit(fastmath=True, inline="never")
def _add_dz(dz: Array, w: Array, f: Array, p: Array, gamma: Array, da: float, h: float) -> None:
    for j in range(dz.shape[0]):
        dz[j] += (w[j] + f[j]) * da + p[j] * gamma[j] * h


@numba.njit(fastmath=True, inline="never")
def _add_ddecay(ddecay: Array, p: Array, f: Array, scale: float) -> None:
    for j in range(p.shape[0]):
        ddecay[j] += p[j] * (f[j] * scale)


@numba.njit(fastmath=True, inline="never")
def _add_dgamma(dgamma: Array, p: Array, z: Array, h: float) -> None:
    for j in range(p.shape[0]):
        dgamma[j] += p[j] * z[j] * h


@numba.njit(fastmath=True, inline="never")
def _step_adjoint(p: Array, decay: Array, z: Array, da: float, scale: float) -> None:
    for j in range(p.shape[0]):
        p[j] = decay[j] * (p[j] * scale) + da * z[j]


@numba.njit(fastmath=True, inline="never")
def _add_through_norm(p: Array, w: Array, f: Array, factor: float) -> None:
    for j in range(p.shape[0]):
        p[j] += factor * (w[j] + f[j])


@numba.njit(fastmath=True, inline="never")
def _presynaptic(x: Array, h: Array, normalise: bool, z: Array) -> Any:
    """Write z = [x; h], divided by its Euclidean norm if asked; return that norm or 1."""
    n_in = x.shape[0]
    square = x.dtype.type(0)
    for j in range(n_in):
        z[j] = x[j]
        square += x[j] * x[j]
    for j in range(h.shape[0]):
        z[n_in + j] = h[j]
        square += h[j] * h[j]
    if not normalise:
        return x.dtype.type(1)
    norm = max(x.dtype.type(math.sqrt(square)), x.dtype.type(NORM_FLOOR))
    inverse = x.dtype.type(1) / norm
    for j in range(z.shape[0]):
        z[j] *= inverse
    return norm


@numba.njit(parallel=True, cache=True)
def forward(
    x: Array,
    h0: Array,
    trace: Array,
    keep: Array,
    weight: Array,
    decay: Array,
    gamma: Array,
    bias: Array,
    mode: int,
    pulses: Pulses | None,
    n_kept: int,
) -> tuple[Array, Array]:
    """Run the recursion.

    Parameters
    ----------
    x : (T, B, I)
    h0 : (B, N)
    trace : (B, N, I + N)
        F before the first step; overwritten with F after the last one.
    keep : (T, B)
        0 where a new game starts at that step, else 1.
    weight, decay, gamma : (N, I + N)
        As the devices have them: `gamma` with the gain of the updates in it.
    bias : (N,)
    mode : int
        One of `MODES`.
    pulses : Pulses or None
        None if every update is issued as it is wanted.
    n_kept : int
        How many snapshots of F to keep: ``ceil(T / SEGMENT)`` for a later backward
        pass, 0 for none.

    Returns
    -------
    h : (T, B, N)
    kept : (n_kept, B, N, I + N)
        F at the start of each segment, after that step's reset.
    """
    n_steps, n_batch = x.shape[:2]
    n_out, n_pre = weight.shape
    h_all = np.empty((n_steps, n_batch, n_out), x.dtype)
    kept = np.empty((n_kept, n_batch, n_out, n_pre), x.dtype)
    for b in numba.prange(n_batch):
        z = np.empty(n_pre, x.dtype)
        row = np.empty(n_pre, x.dtype)
        scale = x.dtype.type(1)
        h = h0[b].copy()
        for t in range(n_steps):
            if keep[t, b] == 0:
                trace[b] = 0
                h[:] = 0
            if n_kept > 0 and t % SEGMENT == 0:
                kept[t // SEGMENT, b] = trace[b]
            _presynaptic(x[t, b], h, mode == _L2, z)
            for i in range(n_out):
                f = trace[b, i]
                if mode == _STPN:
                    scale = _inverse_norm(weight[i], f)
                h[i] = np.tanh(_dot_sum(weight[i], f, z) * scale + bias[i])
                if pulses is None:
                    _step_trace(f, decay[i], gamma[i], z, h[i], scale)
                else:
                    place = (b, t, i, n_out)
                    _step_trace_limited(
                        f, decay[i], gamma[i], z, h[i], scale, weight[i], pulses, place, row
                    )
                    f[:] = row
            h_all[t, b] = h
    return h_all, kept


@numba.njit(parallel=True, cache=True)
def backward(
    grad_h: Array,
    grad_trace: Array,
    x: Array,
    h0: Array,
    keep: Array,
    weight: Array,
    decay: Array,
    gamma: Array,
    h_all: Array,
    kept: Array,
    mode: int,
    pulses: Pulses | None,
) -> tuple[Array, ...]:
    """Gradients of the recursion, given those of its outputs h and F(T).

    Shapes as in `forward`. Limits and noise are passed straight through: gradients are those
    of the update that was wanted, taken at the F that came of it.

    Returns
    -------
    dx, dh0, dtrace0, ddecay, dgamma
        As the arguments they belong to.
    dbias : (N,)
    ds : (T, B, N)
        Gradient of (W + F) z, of which that of W is a plain product.
    dweight : (N, M)
        What W gets on top of that, through STPN's norm; empty in other modes.
    """
    n_steps, n_batch, n_in = x.shape
    n_out, n_pre = weight.shape
    one = x.dtype.type(1)
    dx = np.empty_like(x)
    dh0 = np.empty_like(h0)
    ds_all = np.empty_like(h_all)
    dbias = np.zeros((n_batch, n_out), x.dtype)
    dweight = np.zeros((n_batch if mode == _STPN else 0, n_out, n_pre), x.dtype)
    dtrace = grad_trace.copy()
    ddecay = np.zeros((n_batch, n_out, n_pre), x.dtype)
    dgamma = np.zeros((n_batch, n_out, n_pre), x.dtype)
    for b in numba.prange(n_batch):
        history = np.empty((SEGMENT, n_out, n_pre), x.dtype)
        z = np.empty((SEGMENT, n_pre), x.dtype)
        norm = np.empty(SEGMENT, x.dtype)
        scale = one
        dz = np.empty(n_pre, x.dtype)
        dh = np.zeros(n_out, x.dtype)
        zero = np.zeros(n_out, x.dtype)
        p = dtrace[b]
        for segment in range((n_steps - 1) // SEGMENT, -1, -1):
            start = segment * SEGMENT
            length = min(SEGMENT, n_steps - start)
            history[0] = kept[segment, b]
            for s in range(length):
                t = start + s
                if keep[t, b] == 0:
                    h_before = zero
                elif t == 0:
                    h_before = h0[b]
                else:
                    h_before = h_all[t - 1, b]
                norm[s] = _presynaptic(x[t, b], h_before, mode == _L2, z[s])
                if s + 1 == length:
                    break
                if keep[t + 1, b] == 0:
                    history[s + 1] = 0
                    continue
                for i in range(n_out):
                    f, f_next, h = history[s, i], history[s + 1, i], h_all[t, b, i]
                    if mode == _STPN:
                        scale = _inverse_norm(weight[i], f)
                    if pulses is None:
                        _step_trace_into(f, decay[i], gamma[i], z[s], h, scale, f_next)
                    else:
                        place = (b, t, i, n_out)
                        _step_trace_limited(
                            f, decay[i], gamma[i], z[s], h, scale, weight[i], pulses, place, f_next
                        )
            for s in range(length - 1, -1, -1):
                t = start + s
                dz[:] = 0
                for i in range(n_out):
                    f = history[s, i]
                    h = h_all[t, b, i]
                    da = grad_h[t, b, i] + dh[i] + _dot_product(p[i], gamma[i], z[s])
                    da *= one - h * h
                    dbias[b, i] += da
                    through_norm = one * 0
                    if mode == _STPN:
                        scale = _inverse_norm(weight[i], f)
                        through_norm = -(scale**3) * (
                            _dot_product(p[i], decay[i], f) + da * _dot_sum(weight[i], f, z[s])
                        )
                    ds = da * scale
                    ds_all[t, b, i] = ds
                    _add_dz(dz, weight[i], f, p[i], gamma[i], ds, h)
                    _add_ddecay(ddecay[b, i], p[i], f, scale)
                    _add_dgamma(dgamma[b, i], p[i], z[s], h)
                    _step_adjoint(p[i], decay[i], z[s], ds, scale)
                    if mode == _STPN:
                        _add_through_norm(p[i], weight[i], f, through_norm)
                        _add_through_norm(dweight[b, i], weight[i], f, through_norm)
                if mode == _L2:
                    along = np.dot(dz, z[s])
                    dz[:] = (dz - along * z[s]) / norm[s]
                dx[t, b] = dz[:n_in]
                if keep[t, b] == 0:
                    p[:] = 0
                    dh[:] = 0
                else:
                    dh[:] = dz[n_in:]
        dh0[b] = dh
    return dx, dh0, dtrace, ddecay.sum(0), dgamma.sum(0), dbias.sum(0), ds_all, dweight.sum(0)
