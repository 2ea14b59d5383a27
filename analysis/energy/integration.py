"""From a recorded game to sums that a device's energies follow from, frame by frame.

At the start of frame t the pulses of frame t-1 arrive and then all inputs are read::

    F(t) = Lambda F(t-1) + Gamma h(t-1) z(t-1)^T,        F(0) = 0

and F decays as Lambda^(s/T) for the rest of the frame. The pulses of the last frame are
never issued. Where the device limits its pulses, dF is what they leave of Gamma h z (see
`mstpn.synapses.law`). Every sum runs over the frames in their order, one synapse
at a time, so it is the same to the last bit however the game is cut into blocks.

The kernel walks over presynaptic units: the synapses of one unit stay in the first-level
cache for a whole block, and units that were silent so far cost nothing. It works on copies
of their rows, which LLVM knows not to overlap and therefore vectorises.
"""

from dataclasses import astuple, dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from mstpn.analysis.energy.recording import Recording, dense
from mstpn.synapses import law
from mstpn.synapses.compiled import compiled
from mstpn.synapses.write_limits import WriteLimits

__all__ = ["BLOCK", "Integration", "Sums"]

Array = NDArray[np.float64]

BLOCK = 64
"""Frames per pass over the synapses."""


@dataclass(frozen=True)
class Sums:
    """Sums over the frames of a game; none depends on the device.

    Parameters
    ----------
    n_frames : int
    exponent : float
        Exponent p of the pulse energy.
    short_term : ndarray, (M, N)
        F at the start of the last frame.
    added : ndarray, (M, N)
        Sum of dF.
    below : ndarray, (M, N)
        Frames at whose start F lies below a floor.
    read : ndarray, (M, N)
        Sum of |z| F.
    read_input : ndarray, (M,)
        Sum of |z|.
    pulses : ndarray, (M, N)
        Sum of |dF|^p over the pulses issued, before W + F meets the end of its window.
    updates : ndarray, (M, N)
        Sum of |dF|.
    """

    n_frames: int
    exponent: float
    short_term: Array
    added: Array
    below: Array
    read: Array
    read_input: Array
    pulses: Array
    updates: Array


class Integration:
    """Integrates a recorded game in as many pieces as you like, or one while it is played.

    Parameters
    ----------
    recording : Recording
        What `advance` integrates. It may be shorter than the game whose frames `add` is given.
    exponent : float
        Exponent p of the pulse energy as a power of |Delta F|.
    bias_weight : ndarray, (M, N), optional
        Weights of the frame sums `frame_held`; zero if absent.
    floor : ndarray, (M, N), optional
        What F is compared with; minus infinity if absent.

    Attributes
    ----------
    short_term : ndarray, (M, N)
        F at the start of the last frame integrated.
    frames : list of ndarray, (3, K)
        Sums over synapses for every frame, in pieces; see `frame_sums`.
    """

    def __init__(
        self,
        recording: Recording,
        exponent: float,
        bias_weight: Array | None = None,
        floor: Array | None = None,
    ) -> None:
        self.recording, self.exponent = recording, exponent
        self._state = np.zeros((len(_STATE), *recording.weight.shape))
        self._read_input = np.zeros(len(recording.weight))
        self._bias_weight = np.zeros_like(recording.weight) if bias_weight is None else bias_weight
        self._floor = np.full_like(recording.weight, -np.inf) if floor is None else floor
        self._pulse_weight = np.abs(recording.gamma) ** exponent
        limits = recording.limits
        self._limits = (
            (recording.weight, astuple(limits), limits.delta_f_max**exponent)
            if limits != WriteLimits()
            else (None, None, None)
        )
        n_pre, n_post = recording.weight.shape
        self._last = (np.zeros(n_pre), np.zeros(n_post))  # z and h of the frame before
        self.frames: list[Array] = []
        self.n_frames = 0

    def frame_sums(self) -> tuple[Array, Array, Array]:
        """Sums over synapses for every frame, each (T,).

        Returns
        -------
        held
            Sum of bias_weight F.
        read
            Sum of |z| F.
        pulses
            Sum of |dF|^p of the pulses that arrive in the frame, as in `Sums.pulses`.
        """
        held, read, pulses = np.concatenate([np.zeros((3, 0)), *self.frames], axis=1)
        return held, read, pulses

    def advance(self, stop: int | None = None) -> Sums:
        """Integrate up to frame `stop`, the end if absent, and return the sums so far.

        The sums are the accumulators themselves: copy what must outlive the next call.

        Raises
        ------
        ValueError
            If `stop` lies behind what is done or beyond the end.
        """
        stop = self.recording.n_frames if stop is None else stop
        if not self.n_frames <= stop <= self.recording.n_frames:
            raise ValueError(
                f"stop must lie in [{self.n_frames}, {self.recording.n_frames}], got {stop}"
            )
        r = self.recording
        while (start := self.n_frames) < stop:
            end = min(start + BLOCK, stop)
            self._block(r.dense(r.event_z, start, end), r.h[start:end])
        return self.sums()

    def add(
        self,
        h: Array,
        event_count: NDArray[np.integer[Any]],
        event_unit: NDArray[np.integer[Any]],
        event_z: Array,
    ) -> None:
        """Integrate the next frames of a game that is being played, given as in `Recording`."""
        self._block(dense(len(self._last[0]), event_count, event_unit, event_z), h)

    def sums(self) -> Sums:
        """The sums so far: the accumulators themselves."""
        return Sums(
            self.n_frames,
            self.exponent,
            read_input=self._read_input,
            **dict(zip(_STATE, self._state, strict=True)),
        )

    def _block(self, z_frames: Array, h_frames: Array) -> None:
        """Integrate the next frames, z as (M, K) and h as (K, N)."""
        # column k holds the frame before frame k of these; before the first nothing happened
        z = np.concatenate([self._last[0][:, None], z_frames], axis=1)
        h = np.concatenate([self._last[1][None], h_frames])
        self._last = z[:, -1].copy(), h[-1].copy()
        z_power, active = np.zeros_like(z), np.nonzero(z)
        z_power[active] = np.abs(z[active]) ** self.exponent
        frames = np.zeros((3, len(h_frames)))
        _advance(
            z,
            z_power,
            h,
            np.abs(h) ** self.exponent,
            self.recording.decay,
            self.recording.gamma,
            self._bias_weight,
            self._pulse_weight,
            self._floor,
            self._state,
            self._read_input,
            frames,
            *self._limits,
        )
        self.frames.append(frames)
        self.n_frames += len(h_frames)


_STATE = ("short_term", "added", "read", "below", "pulses", "updates")


_pulse = law.function(law.ISSUE, "wanted, dF_min, dF_max, pulse_gain", "numba")
_windowed = law.function(law.WINDOW, "F, pulse, S_min, S_max, W", "numba")


@numba.njit
def _limit(
    moved: Any, size: Any, short_term: Any, decay: Any, weight: Any, limits: Any, largest: float
) -> None:
    """Turn updates that are wanted into those that the device makes, and |dF|^p likewise."""
    least, most, low, high = limits
    for i in range(moved.shape[0]):
        issued = _pulse(moved[i], least, most, 1.0)
        size[i] = 0.0 if issued == 0 else min(size[i], largest)
        faded = decay[i] * short_term[i]
        inside = _windowed(faded, issued, low, high, weight[i])
        moved[i] = issued + (inside - (faded + issued))


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _advance(
    z: Any,
    z_power: Any,
    h: Any,
    h_power: Any,
    decay: Any,
    gamma: Any,
    bias_weight: Any,
    pulse_weight: Any,
    floor: Any,
    state: Any,
    read_input: Any,
    frames: Any,
    weight: Any,
    limits: Any,
    largest: Any,
) -> None:
    """Integrate the frames of one block.

    Parameters
    ----------
    z, z_power : (M, K + 1)
        z and |z|^p, beginning one frame before the block.
    h, h_power : (K + 1, N)
        h and |h|^p, likewise.
    decay, gamma, bias_weight, pulse_weight, floor : (M, N)
    state : (6, M, N)
        As in `_STATE`, brought forward.
    read_input : (M,)
        Brought forward.
    frames : (3, K)
        Sums over synapses of every frame, added to.
    weight, limits, largest : (M, N), tuple of float, float; or all None
        W, the fields of a `WriteLimits`, and its `delta_f_max` to the power p.
    """
    n = h.shape[1]
    moved, size = np.empty(n), np.empty(n)
    short_term, added, read = np.empty(n), np.empty(n), np.empty(n)
    below, pulses, updates = np.empty(n), np.empty(n), np.empty(n)
    for j in range(z.shape[0]):
        if not (z[j].any() or state[0, j].any()):
            continue
        for i in range(n):
            short_term[i], added[i], read[i] = state[0, j, i], state[1, j, i], state[2, j, i]
            below[i], pulses[i], updates[i] = state[3, j, i], state[4, j, i], state[5, j, i]
        for t in range(frames.shape[1]):
            last, now = z[j, t], abs(z[j, t + 1])
            held = read_now = charged = 0.0
            if last == 0:
                for i in range(n):
                    short_term[i] *= decay[j, i]
            else:
                power = z_power[j, t]
                for i in range(n):
                    moved[i] = gamma[j, i] * (h[t, i] * last)
                    size[i] = pulse_weight[j, i] * h_power[t, i] * power
                if limits is not None:
                    _limit(moved, size, short_term, decay[j], weight[j], limits, largest)
                for i in range(n):
                    short_term[i] = decay[j, i] * short_term[i] + moved[i]
                    added[i] += moved[i]
                    updates[i] += abs(moved[i])
                for i in range(n):
                    pulses[i] += size[i]
                    charged += size[i]
                frames[2, t] += charged
            for i in range(n):
                held += bias_weight[j, i] * short_term[i]
                below[i] += 1.0 if short_term[i] < floor[j, i] else 0.0
            frames[0, t] += held
            if now != 0:
                for i in range(n):
                    read[i] += short_term[i] * now
                    read_now += short_term[i]
                frames[1, t] += read_now * now
                read_input[j] += now
        for i in range(n):
            state[0, j, i], state[1, j, i], state[2, j, i] = short_term[i], added[i], read[i]
            state[3, j, i], state[4, j, i], state[5, j, i] = below[i], pulses[i], updates[i]
