"""The backward pass of the m-STPN recursion: see `mstpn.network.twin.kernel`."""

from typing import Any

import numba
import numpy as np

from mstpn.network.normalisation import NORM_FLOOR
from mstpn.network.twin.kernel import (
    DECAY,
    GAIN,
    GAMMA,
    HELD,
    NOTHING,
    POWER,
    SPAN,
    Array,
    Layer,
    Pulses,
    Record,
    W,
    of_row,
    of_rows,
    power_of,
    presynaptic,
    raise_decay,
)
from mstpn.network.twin.threads import N_PARTS
from mstpn.synapses.compiled import compiled

__all__ = ["backward"]

_DHELD = 3
"""Of the gradients, the first three of which are those of the first three parameters."""


@of_rows
def _back_through_gap(
    j: int,
    p: Array,
    after: Array,
    g: int,
    gap: int,
    synapses: Array,
    charged: Any,
    sums: Array,
    one_less: Array,
    square: Array,
) -> None:
    """Take the adjoint of F of a row back to `gap` steps before, where F was `after`.

    Over these steps ``sum F = after (1 - Lambda^gap) / (1 - Lambda)``; `charged` is the
    gradient of the sum of held F.
    """
    n, zero, one, least = p.shape[1], p.dtype.type(0), p.dtype.type(1), p.dtype.type(NOTHING)
    length = p.dtype.type(gap)
    raise_decay(synapses, j, gap - 1, one_less, square)
    for i in range(n):
        sums[j, DECAY, i] += length * one_less[i] * after[g, i] * p[j, i]
    for i in range(n):
        left = p[j, i] * (synapses[j, DECAY, i] * one_less[i])
        p[j, i] = left if abs(left) > least else zero
    if charged == 0:
        return
    for i in range(n):
        square[i] = (one - synapses[j, DECAY, i] * one_less[i]) * synapses[j, SPAN, i]
    for i in range(n):
        change = (square[i] - length * one_less[i]) * synapses[j, SPAN, i]
        sums[j, DECAY, i] += charged * synapses[j, HELD, i] * after[g, i] * change
    for i in range(n):
        sums[j, _DHELD, i] += charged * after[g, i] * square[i]
    for i in range(n):
        p[j, i] += charged * synapses[j, HELD, i] * square[i]


@of_row
def _update_adjoints(p: Array, synapses: Array, j: int, q: Array, k: int) -> None:
    """Write those of the wanted updates of a row, through F, as if all of them were issued."""
    for i in range(p.shape[1]):
        q[k, i] = synapses[j, GAIN, i] * p[j, i]


@of_row
def _add_pulse_slopes(
    synapses: Array,
    j: int,
    h: Array,
    h_power: Array,
    z_j: Any,
    z_power: Any,
    least: Any,
    most: Any,
    q: Array,
    k: int,
) -> None:
    """Add what the wanted updates of a row change of the energy of their pulses.

    It is that of what is issued: none below the limits, the same for whatever is above.
    """
    zero, one = q.dtype.type(0), q.dtype.type(1)
    for i in range(h.shape[0]):
        wanted = synapses[j, GAMMA, i] * (z_j * h[i])
        within = (abs(wanted) >= least) & (abs(wanted) < most) & (wanted != 0)
        size = synapses[j, POWER, i] * (h_power[i] * z_power)
        q[k, i] += size / (wanted if within else one) if within else zero


@of_row
def _through_pulses(
    q: Array,
    k: int,
    synapses: Array,
    j: int,
    h: Array,
    z_j: Any,
    least: Any,
    most: Any,
    into: Array,
) -> None:
    """Write the adjoints of h z: Gamma times those of the updates that the limits let vary."""
    zero = q.dtype.type(0)
    for i in range(h.shape[0]):
        size = abs(synapses[j, GAMMA, i] * (z_j * h[i]))
        within = (size >= least) & (size <= most)
        into[k, i] = q[k, i] * synapses[j, GAMMA, i] if within else zero


@of_row
def _add_row(rows: Array, k: int, factor: Any, total: Array) -> None:
    for i in range(total.shape[0]):
        total[i] += rows[k, i] * factor


@of_row
def _add_to_gamma_and_weight(
    q: Array, k: int, h: Array, da: Array, z_j: Any, standing: Any, sums: Array, j: int
) -> None:
    for i in range(h.shape[0]):
        sums[j, GAMMA, i] += q[k, i] * (h[i] * z_j)
        sums[j, W, i] += da[i] * z_j + standing


@of_row
def _add_to_decay(p: Array, before: Array, v: int, sums: Array, j: int) -> None:
    for i in range(p.shape[1]):
        sums[j, DECAY, i] += p[j, i] * before[v, i]


@of_row
def _input_adjoint(
    through: Array,
    k: int,
    synapses: Array,
    j: int,
    h: Array,
    before: Array,
    v: int,
    da: Array,
    read: Any,
    offset: Any,
) -> Any:
    """That of z of a row, from the adjoints `through` of h z."""
    total = conductance = h.dtype.type(0)
    for i in range(h.shape[0]):
        s = synapses[j, W, i] + before[v, i]
        total += through[k, i] * h[i] + s * da[i]
        conductance += s
    return total + read * (offset + conductance)


@of_row
def _step_back(p: Array, synapses: Array, j: int, da: Array, z_j: Any, standing: Any) -> None:
    for i in range(da.shape[0]):
        p[j, i] = synapses[j, DECAY, i] * p[j, i] + da[i] * z_j + standing


@of_row
def _charge(
    p: Array, synapses: Array, j: int, before: Array, v: int, charged: Any, sums: Array
) -> None:
    """Add to the adjoints of F and of the weights of held F, F being charged by the step."""
    for i in range(p.shape[1]):
        p[j, i] += charged * synapses[j, HELD, i]
        sums[j, _DHELD, i] += charged * before[v, i]


@of_rows
def _begin(rows: Array, begun: Array, sums: Array) -> None:
    """Set the sums of rows to 0 when they are first met."""
    for j in rows:
        if not begun[j]:
            begun[j] = True
            for of in range(sums.shape[1]):
                for i in range(sums.shape[2]):
                    sums[j, of, i] = 0


@of_rows
def _back_to_outputs(
    rows: Array,
    p: Array,
    synapses: Array,
    h: Array,
    h_power: Array,
    z: Array,
    spent: Any,
    exponent: Any,
    least: Any,
    most: Any,
    q: Array,
    through: Array,
    da: Array,
) -> None:
    """Adjoints `q` of the updates of rows that were wanted, and what h gets `through` pulses."""
    for k in range(rows.shape[0]):
        j = rows[k]
        _update_adjoints(p, synapses, j, q, k)
        if spent != 0:
            z_power = spent * power_of(abs(z[j]), exponent)
            _add_pulse_slopes(synapses, j, h, h_power, z[j], z_power, least, most, q, k)
        _through_pulses(q, k, synapses, j, h, z[j], least, most, through)
        _add_row(through, k, z[j], da)


@of_rows
def _back_to_inputs(
    rows: Array,
    p: Array,
    synapses: Array,
    h: Array,
    z: Array,
    da: Array,
    before: Array,
    start: int,
    q: Array,
    through: Array,
    charged: Any,
    read: Any,
    offset: Any,
    sums: Array,
    dz: Array,
) -> None:
    """Take the adjoint of F back through a step, and add up those of all else."""
    for k in range(rows.shape[0]):
        j, v = rows[k], start + k
        standing, of_read = read * abs(z[j]), read * np.sign(z[j])
        _add_to_gamma_and_weight(q, k, h, da, z[j], standing, sums, j)
        _add_to_decay(p, before, v, sums, j)
        dz[j] = _input_adjoint(*(through, k, synapses, j, h, before, v, da, of_read, offset))
        _step_back(p, synapses, j, da, z[j], standing)
        if charged != 0:
            _charge(p, synapses, j, before, v, charged, sums)


@of_rows
def _undo_norm(rows: Array, z: Array, norm: Any, dz: Array) -> None:
    """Adjoints of z before it was divided by its norm, from those after."""
    along = z.dtype.type(0)
    if norm > NORM_FLOOR:
        for j in rows:
            along += dz[j] * z[j]
    for j in rows:
        dz[j] = (dz[j] - along * z[j]) / norm


@of_rows
def _add_parts(parts: Array, touched: Array, total: Array) -> None:
    """Add sums over groups of games, (N_PARTS, M, 4, N), to those of all, (4, N, M)."""
    n_pre, block = parts.shape[1], 16  # a line of the cache
    for start in range(0, n_pre, block):
        end = min(start + block, n_pre)
        for part in range(len(parts)):
            if not touched[part, start:end].any():
                continue
            for of in range(len(total)):
                for i in range(total.shape[1]):
                    for j in range(start, end):
                        if touched[part, j]:
                            total[of, i, j] += parts[part, j, of, i]


@compiled(parallel=True, nogil=True)
def backward(
    grad_h: Array,
    d_short_term: Array,
    grad_pulse: Array,
    grad_read: Array,
    grad_held: Array,
    x: Array,
    h0: Array,
    keep: Array,
    layer: Layer,
    normalise: bool,
    pulses: Pulses,
    h_all: Array,
    record: Record,
) -> tuple[Array, Array, Array, Array]:
    """Gradients of the recursion, given those of its outputs.

    Those outputs are h, F(T), the first two sums of `forward`, and for each game the sum of
    held F over its steps and synapses. Shapes as in `forward`; `grad_held` is (B,), and
    `d_short_term` either the gradient of F(T), which becomes that of F(0), or, where the former
    is 0 and the latter not wanted, zeros of (N_PARTS, M, N) to work in.

    The gradient of Gamma passes the limits straight through, so that a Gamma too small for any
    pulse can grow: it is that of the update that was wanted, at the F that came of it. Those of
    h and z stop at an update that is not issued or bounded, as the recursion itself does:
    passed on, they grow without bound where the recursion is stable. Noise is left out, and
    converters are passed straight through where a row is driven. Silent inputs get the gradient
    0, which is right behind a ReLU; that of h is exact.

    Returns
    -------
    dx, dh0
        As the arguments they belong to.
    of_synapses : (4, N, M)
        Of W, Lambda and the programmed Gamma as in `Of`, and of the weights of held F.
    dbias : (N,)
    """
    n_steps, n_batch, n_in = x.shape
    n_pre, _, n_out = layer.synapses.shape
    kind = x.dtype.type
    one = kind(1)
    least, most = kind(pulses.delta_f_min), kind(pulses.delta_f_max)
    exponent, offset = kind(pulses.exponent), kind(n_out * pulses.offset)
    dx = np.zeros_like(x)
    dh0 = np.empty_like(h0)
    dbias = np.zeros((n_batch, n_out), x.dtype)
    parts = np.empty((N_PARTS, n_pre, 4, n_out), x.dtype)
    touched = np.zeros((N_PARTS, n_pre), np.bool_)
    synapses, _ = layer
    before, row, starts, after, gap_row, gap, gap_starts = record
    for part in numba.prange(N_PARTS):
        sums, begun = parts[part], touched[part]
        z, dz = np.empty(n_pre, x.dtype), np.zeros(n_pre, x.dtype)
        da, h_power = np.empty(n_out, x.dtype), np.empty(n_out, x.dtype)
        q, through = np.empty((n_pre, n_out), x.dtype), np.empty((n_pre, n_out), x.dtype)
        nothing = np.zeros(n_out, x.dtype)
        one_less, square = np.empty(n_out, x.dtype), np.empty(n_out, x.dtype)
        for b in range(part, n_batch, N_PARTS):
            dh = np.zeros(n_out, x.dtype)
            p = d_short_term[b % len(d_short_term)]
            if len(d_short_term) != n_batch:
                for j in range(n_pre):
                    if begun[j]:
                        p[j] = 0
            charged = grad_held[b]
            for t in range(n_steps, -1, -1):
                if t < n_steps:
                    h = h_all[t, b]
                    h_before = h0[b] if t == 0 else h_all[t - 1, b]
                    if keep[t, b] == 0:
                        h_before = nothing
                    norm = presynaptic(x[t, b], h_before, normalise, pulses, z)
                    spent, read = exponent * grad_pulse[t, b], grad_read[t, b]
                    da[:] = grad_h[t, b] + dh
                    start = starts[b, t]
                    rows = row[start : starts[b, t + 1]]
                    if spent != 0:
                        for i in range(n_out):
                            h_power[i] = power_of(abs(h[i]), exponent)
                    _begin(rows, begun, sums)
                    _back_to_outputs(
                        *(rows, p, synapses, h, h_power, z, spent, exponent, least, most),
                        *(q, through, da),
                    )
                    for i in range(n_out):
                        da[i] *= one - h[i] * h[i]
                    dbias[b] += da
                    _back_to_inputs(
                        *(rows, p, synapses, h, z, da, before, start, q, through),
                        *(charged, read, offset, sums, dz),
                    )
                    if normalise:
                        _undo_norm(rows, z, norm, dz)
                    dh[:] = 0
                    for j in rows:
                        if pulses.inp_step > 0 and z[j] == 0:  # a row that is not driven
                            dz[j] = 0
                        if j < n_in:
                            dx[t, b, j] = dz[j]
                        elif keep[t, b] != 0:
                            dh[j - n_in] = dz[j]
                    if keep[t, b] == 0:
                        p[:] = 0
                for g in range(gap_starts[b, t], gap_starts[b, t + 1]):
                    _begin(gap_row[g : g + 1], begun, sums)
                    _back_through_gap(
                        *(gap_row[g], p, after, g, gap[g], synapses, charged, sums),
                        *(one_less, square),
                    )
            dh0[b] = dh
    total = np.zeros((4, n_out, n_pre), x.dtype)
    _add_parts(parts, touched, total)
    return dx, dh0, total, dbias.sum(0)
