"""Closed forms and plain recursions that the package is compared with; none of it is ours.

Bare floats in SI units throughout.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

Array = NDArray[np.float64]


@dataclass
class Device:
    """The numbers of the energy model, in volt, siemens, second and joule."""

    g_offset: float
    kappa: float
    v_read: float
    t_read: float
    e_pulse: float
    df_max: float
    energy_exponent: float


class Recursion:
    """h(t) = tanh((W + F) z + b); F <- Lambda F + Gamma h z^T; energies step by step.

    Per step of duration T a synapse holds F from its start, decaying as Lambda^(t/T), so
    the bias takes V^2 [(G_off + kappa W) T + kappa F T (1 - Lambda) / ln(1/Lambda)].
    """

    def __init__(self, weight: Array, decay: Array, gamma: Array, bias: Array) -> None:
        self.weight, self.decay, self.gamma, self.bias = weight, decay, gamma, bias
        self.short_term = np.zeros_like(weight)
        self.h = np.zeros(len(weight))
        self.pulse_j = self.bias_j = self.read_j = 0.0

    def step(self, x: Array) -> Array:
        z = np.concatenate([x, self.h])
        self.h = np.tanh((self.weight + self.short_term) @ z + self.bias)
        self.short_term = self.decay * self.short_term + self.gamma * np.outer(self.h, z)
        return self.h

    def step_with_energy(self, x: Array, d: Device, volt: Array, second: float) -> Array:
        """As `step`; the pulse that ends the step is charged to it."""
        z = np.concatenate([x, self.h])
        total = self.weight + self.short_term
        conductance = d.g_offset + d.kappa * total
        self.read_j += float((d.v_read**2 * d.t_read * conductance * np.abs(z)).sum())
        held = self.short_term * second * (1 - self.decay) / np.log(1 / self.decay)
        static = (d.g_offset + d.kappa * self.weight) * second
        self.bias_j += float((volt**2 * (static + d.kappa * held)).sum())
        h = self.step(x)
        update = np.abs(self.gamma * np.outer(h, z)) / d.df_max
        self.pulse_j += float((d.e_pulse * update**d.energy_exponent).sum())
        return h


class LimitedRecursion(Recursion):
    """The recursion under limits of the device's pulses, synapse by synapse.

    An update below `least` in size is not issued, one above `most` is issued at `most`;
    W + F stays in [low, high]. Energy is paid for what is issued.
    """

    def __init__(
        self, *parameters: Array, limits: tuple[float, float, float, float], d: Device | None = None
    ) -> None:
        super().__init__(*parameters)
        self.limits, self.d = limits, d

    def step(self, x: Array) -> Array:
        least, most, low, high = self.limits
        z = np.concatenate([x, self.h])
        self.h = np.tanh((self.weight + self.short_term) @ z + self.bias)
        for i, j in np.ndindex(*self.weight.shape):
            update = self.gamma[i, j] * self.h[i] * z[j]
            if abs(update) < least:
                update = 0.0
            elif abs(update) > most:
                update = np.copysign(most, update)
            if self.d is not None:
                size = abs(update) / self.d.df_max
                self.pulse_j += self.d.e_pulse * size**self.d.energy_exponent
            total = self.weight[i, j] + self.decay[i, j] * self.short_term[i, j] + update
            self.short_term[i, j] = sorted((low, total, high))[1] - self.weight[i, j]
        return self.h


class SlowRecursion(Recursion):
    """Two exponentials: a share of each update decays with Lambda^(1/ratio), synapse by synapse.

    The slow part is held in the window first, then the total; limits as in `LimitedRecursion`.
    """

    def __init__(
        self,
        *parameters: Array,
        share: float,
        ratio: float,
        limits: tuple[float, float, float, float],
        d: Device,
        volt: Array,
        second: float,
    ) -> None:
        super().__init__(*parameters)
        self.share, self.ratio, self.limits = share, ratio, limits
        self.d, self.volt, self.second = d, volt, second
        self.slow = np.zeros_like(self.weight)

    def step(self, x: Array) -> Array:
        least, most, low, high = self.limits
        z = np.concatenate([x, self.h])
        self.h = np.tanh((self.weight + self.short_term + self.slow) @ z + self.bias)
        for i, j in np.ndindex(*self.weight.shape):
            w, rate = float(self.weight[i, j]), float(np.log(1 / self.decay[i, j]) / self.second)
            conductance = self.d.g_offset + self.d.kappa * (
                w + self.short_term[i, j] + self.slow[i, j]
            )
            self.read_j += self.d.v_read**2 * self.d.t_read * conductance * abs(z[j])
            charge = (self.d.g_offset + self.d.kappa * w) * self.second
            parts = float(self.short_term[i, j]), float(self.slow[i, j])
            held: list[float] = []
            for part, k in zip(parts, (rate, rate / self.ratio), strict=True):
                held.append(part * float(np.exp(-k * self.second)))
                charge += self.d.kappa * (part - held[-1]) / k
            self.bias_j += float(self.volt[i, j]) ** 2 * charge
            update = float(self.gamma[i, j] * self.h[i] * z[j])
            size = min(abs(update), most) if abs(update) >= least else 0.0
            self.pulse_j += self.d.e_pulse * (size / self.d.df_max) ** self.d.energy_exponent
            update = float(np.copysign(size, update))
            slow = min(max(w + held[1] + self.share * update, low), high)
            total = min(max(slow + held[0] + (1 - self.share) * update, low), high)
            self.short_term[i, j], self.slow[i, j] = total - slow, slow - w
        return self.h


def stpn_step(
    x: Array, h: Array, short_term: Array, weight: Array, decay: Array, gamma: Array, bias: Array
) -> tuple[Array, Array]:
    """One step of STPN's own layer (Rodriguez et al., ICML 2022), unit by unit."""
    z = np.concatenate([x, h])
    after, out = np.empty_like(short_term), np.empty_like(h)
    for i in range(len(h)):
        total = weight[i] + short_term[i]
        norm = np.sqrt(total @ total)
        out[i] = np.tanh(total @ z / norm + bias[i])
        after[i] = decay[i] * short_term[i] / norm + gamma[i] * out[i] * z
    return out, after


IDEAL = (0.0, np.inf, -np.inf, np.inf)


@dataclass
class DenseLedger:
    """A game integrated with every synapse in every frame, from h and z as recorded."""

    energy_j: Array  # (T, M, N, 3): pulse, bias, read
    short_term: Array  # (T, M, N): F at the start of each frame


def dense_ledger(
    h: Array,
    z: Array,
    weight: Array,
    decay: Array,
    gamma: Array,
    volt: Array,
    second: float,
    d: Device,
    limits: tuple[float, float, float, float] = IDEAL,
) -> DenseLedger:
    """Frame by frame as in `Recursion.step_with_energy`, but h (T, N) and z (T, M) are given.

    Parameters are (M, N). The pulse of frame t arrives at the start of frame t + 1, under the
    limits of `LimitedRecursion`.
    """
    frames = list(dense_frames(h, z, weight, decay, gamma, volt, second, d, limits))
    return DenseLedger(np.array([e for e, _ in frames]), np.array([f for _, f in frames]))


def dense_frames(
    h: Array,
    z: Array,
    weight: Array,
    decay: Array,
    gamma: Array,
    volt: Array,
    second: float,
    d: Device,
    limits: tuple[float, float, float, float] = IDEAL,
) -> Iterator[tuple[Array, Array]]:
    """The frames of `dense_ledger` one by one: energies (M, N, 3) and F (M, N)."""
    short_term = np.zeros_like(weight)
    update = np.zeros_like(weight)
    mean = (1 - decay) / np.log(1 / decay)
    least, most, low, high = limits
    for t in range(len(h)):
        short_term = np.clip(decay * short_term + update, low - weight, high - weight)
        pulse = d.e_pulse * (np.abs(update) / d.df_max) ** d.energy_exponent
        bias = volt**2 * (d.g_offset + d.kappa * (weight + short_term * mean)) * second
        conductance = d.g_offset + d.kappa * (weight + short_term)
        read = d.v_read**2 * d.t_read * conductance * np.abs(z[t])[:, None]
        yield np.stack([pulse, bias, read], axis=-1), short_term
        wanted = gamma * np.outer(z[t], h[t])
        update = np.where(np.abs(wanted) < least, 0.0, np.clip(wanted, -most, most))


def held_synapse(
    duration: float, short_term: float, weight: float, volt: float, tau: float, d: Device
) -> tuple[float, float]:
    """F and bias energy after `duration` under `volt`, integrated numerically by SciPy."""
    (held,), energy = held_parts(duration, [short_term], weight, volt, [tau], d)
    return held, energy


def held_parts(
    duration: float, parts: list[float], weight: float, volt: float, taus: list[float], d: Device
) -> tuple[list[float], float]:
    """The same if F is a sum of parts, each with a time constant of its own."""

    def derivative(_t: float, y: Array) -> list[float]:
        power = volt**2 * (d.g_offset + d.kappa * (weight + sum(y[:-1])))
        return [*(-part / tau for part, tau in zip(y[:-1], taus, strict=True)), power / _NANO]

    solution = solve_ivp(
        derivative, (0, duration), [*parts, 0.0], method="DOP853", rtol=1e-12, atol=1e-14
    )
    *held, energy = (float(value) for value in solution.y[:, -1])
    return held, energy * _NANO


@dataclass
class DrivenDevice:
    """A memristor under any voltage, in SI units; Lambda per `step`, window of W + F."""

    g_offset: float = 4.3e-9 / 0.6**2
    kappa: float = 10e-9
    half: float = 0.3
    slope: float = 0.12283266696153589
    step: float = 1 / 15
    growth: float = 0.1 / 100e-6  # at 3.5 V, of F, per second
    exponent: float = 4.0
    onset: float = 10.0  # below 2 V
    up: float = 2.5  # F that 3.5 V can hold
    down: float = 1.0
    set_share: float = 0.02  # per 500 us at 4 V, and so of RESET
    step_volt: float = 0.15  # of both
    low: float = (0.1e-9 - 4.3e-9 / 0.6**2) / 10e-9
    high: float = (60e-9 - 4.3e-9 / 0.6**2) / 10e-9

    def decay_rate(self, volt: float) -> float:
        """Of F; per second."""
        return float(np.log1p(np.exp((self.half - min(volt, 0.6)) / self.slope)) / self.step)

    def growth_rate(self, volt: float) -> float:
        """Of F that is small; per second."""
        share = -np.expm1(-36 * (abs(volt) / 2) ** self.onset)
        return float(np.sign(volt) * self.growth * (abs(volt) / 3.5) ** self.exponent * share)

    def room(self, short_term: float, volt: float) -> float:
        """Share of that rate at an F."""
        most = (self.up if volt > 0 else self.down) * abs(volt) / 3.5
        return (
            float(np.interp(np.sign(volt) * short_term, [most / 2, most], [1, 0])) if volt else 1.0
        )

    def long_term(self, volt: float) -> tuple[float, float]:
        """Rate of W, per second, and where it goes."""
        rate = -np.log(1 - self.set_share) / 500e-6
        rate *= np.sinh(abs(volt) / self.step_volt) / np.sinh(4 / self.step_volt)
        return float(rate), self.high if volt > 0 else self.low

    def hold(self, y: Array, volt: float, duration: float) -> Array:
        """F, W and joules after a level, by SciPy; what reaches the window stays at its edge."""
        grow, rate = self.growth_rate(volt), self.decay_rate(volt)
        speed, end = self.long_term(volt)

        def derivative(_t: float, y: Array) -> list[float]:
            power = volt**2 * (self.g_offset + self.kappa * (y[0] + y[1])) / _NANO
            return [grow * self.room(y[0], volt) - rate * y[0], speed * (end - y[1]), power]

        edge = self.high if grow > 0 else self.low

        def inside(_t: float, y: Array) -> float:
            return float(np.sign(grow) * (edge - y[0] - y[1])) + 1e-12  # an edge is inside

        inside.terminal, inside.direction = True, -1  # type: ignore[attr-defined]
        pushed = grow != 0 and np.sign(grow) * sum(derivative(0, y)[:2]) > 0
        start = [y[0], y[1], y[2] / _NANO]
        solution = solve_ivp(
            derivative,
            (0, duration),
            start,
            method="DOP853",
            rtol=1e-12,
            atol=1e-13,
            events=inside if pushed else None,
        )
        short_term, weight, spent = solution.y[:, -1]
        left = duration - solution.t[-1]
        if left > 0:
            weight = end - (end - weight) * np.exp(-speed * left)
            short_term = edge - weight
            spent += volt**2 * (self.g_offset + self.kappa * edge) * left / _NANO
        return np.array([short_term, weight, spent * _NANO])


_NANO = 1e-9
"""The energy is integrated in nanojoule so that one absolute tolerance fits both."""


def pong_environment(*, sticky: float = 0.0, noop_max: int = 30, most_frames: int = 108_000) -> Any:
    """Pong by gymnasium's own wrappers: its `ALE/Pong-v5` in its `AtariPreprocessing`."""
    import ale_py
    import gymnasium
    from gymnasium.wrappers import AtariPreprocessing

    gymnasium.register_envs(ale_py)
    game = gymnasium.make(
        "ALE/Pong-v5",
        frameskip=1,
        repeat_action_probability=sticky,
        max_num_frames_per_episode=most_frames,
    )
    return AtariPreprocessing(game, noop_max=noop_max, frame_skip=4, screen_size=84)


def dense_crossbar(
    cells: Array, rows: Array, columns: Array, segment: float
) -> tuple[Array, Array]:
    """Potentials of the nodes of rows and of columns, each (M, N), node by node."""
    m, n = cells.shape
    matrix, injected = np.zeros((2 * m * n, 2 * m * n)), np.zeros(2 * m * n)

    def link(a: int, b: int | None, conductance: Any, potential: Any = 0.0) -> None:
        matrix[a, a] += conductance
        if b is None:
            injected[a] += conductance * potential
            return
        matrix[b, b] += conductance
        matrix[a, b] -= conductance
        matrix[b, a] -= conductance

    for i, j in np.ndindex(m, n):
        row, column = i * n + j, m * n + i * n + j
        link(row, column, cells[i, j])
        link(row, row - 1 if j else None, 1 / segment, rows[i])
        link(column, column + n if i < m - 1 else None, 1 / segment, columns[j])
    u = np.linalg.solve(matrix, injected)
    return u[: m * n].reshape(m, n), u[m * n :].reshape(m, n)
