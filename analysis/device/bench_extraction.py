"""What measurements say: orientation of a loop, Lambda from decays, the sigmoid through it."""

from dataclasses import dataclass

import numpy as np
from brian2.units import Quantity, second, siemens, volt
from numpy.typing import NDArray
from scipy.optimize import curve_fit
from scipy.stats import linregress

from mstpn.synapses import law
from mstpn.synapses.bench.protocols import Decay

__all__ = ["Sigmoid", "decay_over", "fit_sigmoid", "loop_area"]

Array = NDArray[np.float64]


def loop_area(x: Array, y: Array) -> Array:
    """Signed area within closed curves; positive if counter-clockwise.

    Parameters
    ----------
    x, y : ndarray, (L, N)
        Corners of N polygons.
    """
    after_x, after_y = np.roll(x, -1, axis=0), np.roll(y, -1, axis=0)
    return np.asarray(0.5 * (x * after_y - after_x * y).sum(axis=0))


def decay_over(measured: Decay, duration: Quantity) -> Array:
    """Lambda of every decay, (B, R), by a least-squares fit of one exponential and what it ends at.

    Parameters
    ----------
    measured : Decay
    duration : Quantity, second
        That Lambda refers to.

    Raises
    ------
    ValueError
        If a conductance did not change at all, or no exponential fits it.
    """
    time = np.asarray(measured.time / second)
    change = np.asarray((measured.conductance - measured.before) / siemens)
    if not np.abs(change).max(axis=0).all():
        raise ValueError("a conductance did not change, so there is no decay to fit")
    try:
        with np.errstate(over="ignore"):  # the fit may try a rate that grows
            rates = np.apply_along_axis(lambda curve: _rate(time, curve), 0, change)
    except RuntimeError as error:
        raise ValueError("no exponential fits a decay, as of a device that is stuck") from error
    return np.asarray(np.exp(-rates * float(duration / second)))


def _rate(time: Array, change: Array) -> float:
    """Rate of an exponential through a curve, 1/second."""
    share = change / change[np.abs(change).argmax()]
    # begin where the curve has lost 1/e, or at its end
    fallen = np.flatnonzero(share < np.exp(-1))
    start = 1 / time[fallen[0] if len(fallen) else -1]
    (_, rate, _), _ = curve_fit(
        lambda t, size, rate, end: end + size * np.exp(-rate * t),
        time,
        share,
        p0=(1.0, start, 0.0),
        xtol=1e-14,
    )
    return float(rate)


@dataclass(frozen=True)
class Sigmoid:
    """Lambda against bias voltage: `mstpn.synapses.law.DECAY`.

    Parameters
    ----------
    half, slope : Quantity, volt
    """

    half: Quantity
    slope: Quantity

    def __call__(self, voltage: Quantity) -> Array:
        """Lambda at voltages."""
        return np.asarray(_decay(np.asarray(voltage / volt), float(self.half), float(self.slope)))


_LARGEST_P = 1e-3
"""That a slope of Lambda over the bias comes by chance, where there is a sigmoid to fit."""


def fit_sigmoid(bias_voltage: Quantity, decay: Array) -> Sigmoid | None:
    """Least-squares fit of a sigmoid; None if Lambda moves no more with the bias than by chance.

    Parameters
    ----------
    bias_voltage : Quantity, volt, (B,)
    decay : ndarray, (B, R)
        Lambda.

    Raises
    ------
    ValueError
        If there are fewer than three voltages.
    """
    if len(bias_voltage) < 3:
        raise ValueError(f"a sigmoid needs three voltages or more, got {len(bias_voltage)}")
    x = np.repeat(np.asarray(bias_voltage / volt), decay.shape[1])
    within = decay.clip(1e-12, 1 - 1e-12)
    line = linregress(x, np.log(within / (1 - within)).ravel())
    if line.slope <= 0 or line.pvalue > _LARGEST_P:
        return None
    start = (-line.intercept / line.slope, 1 / line.slope)
    (half, slope), _ = curve_fit(_decay, x, decay.ravel(), p0=start, xtol=1e-14)
    return Sigmoid(half * volt, slope * volt)


_decay = law.function(law.DECAY, "V_bias, V_half, V_slope")
