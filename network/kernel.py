"""Fused CPU kernel of the m-STPN recursion and its hand-written backward pass.

For every sequence of the batch, with ``z = normalise([x(t); keep(t) h(t-1)])``::

    h(t)   = tanh((W + F(t)) z(t) + b)
    F(t+1) = Lambda * F(t) + Gamma * h(t) z(t)^T

``keep(t) = 0`` starts a new game before step t: F and h are zeroed.

The backward pass needs F(t) of every step. Storing it costs N * M floats a step, so
the forward pass keeps F only every `SEGMENT` steps and the backward pass recomputes
one segment at a time, which stays in the last-level cache.

Loops are split so that each writes one array: LLVM then proves the absence of
aliasing with few run-time checks and vectorises all of them.
"""

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from mstpn.network.normalisation import NORM_FLOOR

__all__ = ["SEGMENT", "backward", "forward"]

SEGMENT = 8

Array = NDArray[Any]
"""float32 or float64, all of a call alike."""


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
def _step_trace(f: Array, decay: Array, gamma: Array, z: Array, h: float) -> None:
    for j in range(z.shape[0]):
        f[j] = decay[j] * f[j] + gamma[j] * (z[j] * h)


@numba.njit(fastmath=True, inline="never")
def _step_trace_into(
    f: Array, decay: Array, gamma: Array, z: Array, h: float, f_next: Array
) -> None:
    for j in range(z.shape[0]):
        f_next[j] = decay[j] * f[j] + gamma[j] * (z[j] * h)


@numba.njit(fastmath=True, inline="never")
def _add_dz(dz: Array, w: Array, f: Array, p: Array, gamma: Array, da: float, h: float) -> None:
    for j in range(dz.shape[0]):
        dz[j] += (w[j] + f[j]) * da + p[j] * gamma[j] * h


@numba.njit(fastmath=True, inline="never")
def _add_ddecay(ddecay: Array, p: Array, f: Array) -> None:
    for j in range(p.shape[0]):
        ddecay[j] += p[j] * f[j]


@numba.njit(fastmath=True, inline="never")
def _add_dgamma(dgamma: Array, p: Array, z: Array, h: float) -> None:
    for j in range(p.shape[0]):
        dgamma[j] += p[j] * z[j] * h


@numba.njit(fastmath=True, inline="never")
def _step_adjoint(p: Array, decay: Array, z: Array, da: float) -> None:
    for j in range(p.shape[0]):
        p[j] = decay[j] * p[j] + da * z[j]


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
    normalise: bool,
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
    bias : (N,)
    normalise : bool
        Divide z by its Euclidean norm.
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
        h = h0[b].copy()
        for t in range(n_steps):
            if keep[t, b] == 0:
                trace[b] = 0
                h[:] = 0
            if n_kept > 0 and t % SEGMENT == 0:
                kept[t // SEGMENT, b] = trace[b]
            _presynaptic(x[t, b], h, normalise, z)
            for i in range(n_out):
                h[i] = np.tanh(_dot_sum(weight[i], trace[b, i], z) + bias[i])
                _step_trace(trace[b, i], decay[i], gamma[i], z, h[i])
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
    normalise: bool,
) -> tuple[Array, ...]:
    """Gradients of the recursion, given those of its outputs h and F(T).

    Shapes as in `forward`.

    Returns
    -------
    dx, dh0, dtrace0, ddecay, dgamma
        As the arguments they belong to.
    da : (T, B, N)
        Gradient of the sum inside tanh, of which those of W and b are plain products.
    """
    n_steps, n_batch, n_in = x.shape
    n_out, n_pre = weight.shape
    one = x.dtype.type(1)
    dx = np.empty_like(x)
    dh0 = np.empty_like(h0)
    da_all = np.empty_like(h_all)
    dtrace = grad_trace.copy()
    ddecay = np.zeros((n_batch, n_out, n_pre), x.dtype)
    dgamma = np.zeros((n_batch, n_out, n_pre), x.dtype)
    for b in numba.prange(n_batch):
        history = np.empty((SEGMENT, n_out, n_pre), x.dtype)
        z = np.empty((SEGMENT, n_pre), x.dtype)
        norm = np.empty(SEGMENT, x.dtype)
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
                norm[s] = _presynaptic(x[t, b], h_before, normalise, z[s])
                if s + 1 == length:
                    break
                if keep[t + 1, b] == 0:
                    history[s + 1] = 0
                    continue
                for i in range(n_out):
                    _step_trace_into(
                        history[s, i], decay[i], gamma[i], z[s], h_all[t, b, i], history[s + 1, i]
                    )
            for s in range(length - 1, -1, -1):
                t = start + s
                dz[:] = 0
                for i in range(n_out):
                    f = history[s, i]
                    h = h_all[t, b, i]
                    da = grad_h[t, b, i] + dh[i] + _dot_product(p[i], gamma[i], z[s])
                    da *= one - h * h
                    da_all[t, b, i] = da
                    _add_dz(dz, weight[i], f, p[i], gamma[i], da, h)
                    _add_ddecay(ddecay[b, i], p[i], f)
                    _add_dgamma(dgamma[b, i], p[i], z[s], h)
                    _step_adjoint(p[i], decay[i], z[s], da)
                if normalise:
                    along = np.dot(dz, z[s])
                    dz[:] = (dz - along * z[s]) / norm[s]
                dx[t, b] = dz[:n_in]
                if keep[t, b] == 0:
                    p[:] = 0
                    dh[:] = 0
                else:
                    dh[:] = dz[n_in:]
        dh0[b] = dh
    return dx, dh0, dtrace, ddecay.sum(0), dgamma.sum(0), da_all
