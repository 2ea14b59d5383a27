"""What the working memory should recall, from the device's laws and order statistics alone.

F of a synapse whose cells spiked Delta apart in one encoding, an age ago::

    F = Gamma exp(-Delta/tau_trace) exp(-age/tau(V_bias))

Of n cells of a minicolumn each is lifted by the items that the cue is in: with c_k the number of
cued hypercolumns in which item k has the cue's minicolumn, K = n p c_k spikes arrive from them,

    lift = V_read kappa t_read/C_m sum_k K F_k

over the items k that have this minicolumn. The first of n noisy membranes decides, and the cue's
item is right in a hypercolumn with probability

    int n phi(u) Phi(u)^(n-1) prod_m Phi((s u + lift - lift_m)/s_m)^n du

as if membranes stood still while the drive rises and recalled minicolumns did not help one another.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from brian2.units import Quantity, second
from numpy.typing import NDArray
from scipy.integrate import trapezoid
from scipy.special import ndtr, ndtri

from mstpn.network.working_memory.columns import Columns
from mstpn.network.working_memory.model import (
    CAPACITY,
    DT,
    MEMBRANE,
    NOISE,
    RISE,
    THRESHOLD,
    VOLLEY,
)
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.spiking import TRACE_DURATION

__all__ = ["chance_of_recall", "lifetime", "recall_of_one", "written"]

Array = NDArray[np.float64]


def written(gamma: float) -> float:
    """F that one encoding writes into a synapse, mean over where in the volley its cells spike."""
    steps = round(float(VOLLEY / DT))
    apart = np.abs(np.subtract.outer(np.arange(steps), np.arange(steps)))
    return float(gamma * np.mean(np.exp(-apart * float(DT / TRACE_DURATION))))


def chance_of_recall(
    items: NDArray[np.int64],
    short_term: Sequence[float] | Array,
    asked: int,
    cued: NDArray[np.int64],
    columns: Columns,
    device: Memristor,
) -> float:
    """Probability that a hypercolumn outside the cue answers with the minicolumn of the item.

    Parameters
    ----------
    items : ndarray of int, (L, H)
        All that have been encoded.
    short_term : array_like, (L,)
        F of each item's synapses now.
    asked : int
        Which item the cue is a part of.
    cued : ndarray of int
        Hypercolumns.
    columns : Columns
    device : Memristor

    Returns
    -------
    float
        Mean of the hypercolumns outside the cue.
    """
    others = np.setdiff1d(np.arange(columns.hypercolumns), cued)
    shared = items[:, cued] == items[asked, cued]
    belongs = items[:, others, None] == np.arange(columns.minicolumns)
    f = np.einsum("k,kc,kom->omc", np.asarray(short_term), shared, belongs)
    per_f = float(
        device.read_voltage * device.weight_conductance * device.read_duration / CAPACITY / NOISE
    )
    mean = per_f * columns.cells * columns.connection * f.sum(2)
    spread = per_f**2 * columns.cells * columns.connection * (1 - columns.connection)
    variance = spread * (f**2).sum(2)
    right = [
        _first(m, v, i, columns)
        for m, v, i in zip(mean, variance, items[asked, others], strict=True)
    ]
    return float(np.mean(right))


def recall_of_one(short_term: Any, n_cued: int, columns: Columns, device: Memristor) -> Array:
    """As `chance_of_recall`, of a single item whose F is each of `short_term`, (K,)."""
    alone = np.zeros((1, columns.hypercolumns), int)
    return np.array(
        [
            chance_of_recall(alone, [f], 0, np.arange(n_cued), columns, device)
            for f in np.asarray(short_term)
        ]
    )


def _first(mean: Array, variance: Array, right: int, columns: Columns) -> float:
    """Probability that one minicolumn has the first cell, lifts in units of the noise."""
    left = _left_at_threshold(mean, variance, columns.cells)
    mean, sigma = mean * left, np.sqrt(1 + variance * left**2)
    u = np.linspace(-9, 9, 2001)
    x = mean[right] + sigma[right] * u
    n = columns.cells
    density = n * np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi) * ndtr(u) ** (n - 1)
    rivals = ndtr((x[:, None] - np.delete(mean, right)) / np.delete(sigma, right)) ** n
    return float(trapezoid(density * rivals.prod(1), u))


def _left_at_threshold(mean: Array, variance: Array, n: int) -> float:
    """Share of the lifts that is left when the drive brings the first cell to the threshold."""
    threshold, rise = float(THRESHOLD / NOISE), float(RISE / NOISE * second)
    leak, after = float(MEMBRANE / second), float(VOLLEY / second) / 2
    highest = ndtri((n - 0.375) / (n + 0.25))  # of n standard normal numbers, by Blom
    first = ndtri((n * len(mean) - 0.375) / (n * len(mean) + 0.25))
    t = 0.0
    for _ in range(50):
        left = np.exp(-(t + after) / leak)
        top = max(first, float(np.max(mean * left + highest * np.sqrt(1 + variance * left**2))))
        t = 0.5 * t + 0.5 * max(0.0, (threshold - top) / rise)
    return float(left)


def lifetime(delay: Quantity, recalled: Any, chance: float) -> Quantity:
    """Delay at which recall falls halfway from certainty to chance.

    Parameters
    ----------
    delay : Quantity, second, (D,)
        Rising.
    recalled : array_like, (D,)
    chance : float

    Returns
    -------
    Quantity, second
        Linear between delays; not a number where that is not among them.
    """
    half = (1 + chance) / 2
    below = np.flatnonzero(np.asarray(recalled) < half)
    if not len(below) or below[0] == 0:
        return np.nan * second
    k = below[0]
    share = (recalled[k - 1] - half) / (recalled[k - 1] - recalled[k])
    return delay[k - 1] + share * (delay[k] - delay[k - 1])
