"""Letters tied to digits by one coincidence of spikes each, and recalled: spiking neurons, F alone.

Letters spike when they are shown. Digits are leaky integrate-and-fire neurons with noise on their
membranes; a teacher makes one spike while its letter is shown, and the coincidence writes F of the
synapse between both. Later a letter is shown alone, and the digit whose membrane it lifts highest
is the answer. W is 0 throughout: what is recalled is in F, and how long for is up to the bias.

With d the lift of the right membrane over the noise, and 9 others without lift, the answer is right
with probability ``int phi(u) Phi(u + d)^9 du``, and d falls as exp(-t/tau(V_bias)).

Source: the task of Ba et al., NeurIPS 2016; the synapse of `mstpn.synapses.spiking`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Clock, Network, NeuronGroup, SpikeGeneratorGroup, Synapses, seed
from brian2.units import Quantity, joule, ms, mvolt, pfarad, second, volt
from numpy.typing import NDArray
from scipy.integrate import trapezoid
from scipy.special import ndtr

from mstpn.synapses.memristor import Memristor
from mstpn.synapses.spiking import get_spiking_synapses

__all__ = ["N_DIGITS", "N_LETTERS", "N_PAIRS", "Recalled", "chance_of_recall", "recall"]

Array = NDArray[np.float64]

N_LETTERS, N_DIGITS, N_PAIRS = 26, 10, 8
DT: Quantity = 0.1 * ms
BETWEEN_PAIRS: Quantity = 60 * ms
"""From one pair to the next: what the traces of one have left for the other is below the
device's smallest pulse."""
FIRST_PAIR: Quantity = 10 * ms
MEMBRANE: Quantity = 10 * ms
CAPACITY: Quantity = 1 * pfarad
NOISE: Quantity = 0.12 * mvolt
"""Standard deviation of a membrane."""
TEACHER: Quantity = 30 * mvolt

DIGIT = """
    dv/dt = -v/tau_m + noise*sqrt(2/tau_m)*xi : volt
"""


@dataclass(frozen=True)
class Recalled:
    """What sequences at some bias voltages recalled.

    Parameters
    ----------
    bias_voltage : Quantity, volt, (V,)
    delay : Quantity, second, (D,)
        From the last pair to the cue.
    age : Quantity, second, (V, D, S)
        From the cued pair to the cue, in each of S sequences.
    right : ndarray of bool, (V, D, S)
    energy : dict of str to Quantity, joule, (V,)
        Of all synapses of a sequence by term, mean of the sequences, from the first pair until the
        last cue.
    duration : Quantity, second
        Of that.
    trace : tuple of ndarray
        Times in second, (K,), and F of the first sequence's eight synapses at each voltage,
        (V, 8, K).
    """

    bias_voltage: Quantity
    delay: Quantity
    age: Quantity
    right: NDArray[np.bool_]
    energy: dict[str, Quantity]
    duration: Quantity
    trace: tuple[Array, Array]


def chance_of_recall(short_term: Any, device: Memristor) -> Array:
    """Probability of the right answer while F of the cued synapse is `short_term`."""
    charge = device.read_voltage * device.weight_conductance * device.read_duration
    lift = np.asarray(charge / CAPACITY / NOISE) * np.asarray(short_term)
    u = np.linspace(-8, 8, 2001)
    density = np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)
    others = ndtr(u + lift[..., None]) ** (N_DIGITS - 1)
    return np.asarray(trapezoid(density * others, u, axis=-1))


class _Sequences:
    """Random sequences: who is shown when, as spikes of S sequences side by side."""

    def __init__(self, n: int, delay: Quantity, rng: np.random.Generator) -> None:
        self.n, self.block = n, np.arange(n)
        self.letters = np.array([rng.permutation(N_LETTERS)[:N_PAIRS] for _ in range(n)])
        self.digits = np.array([rng.permutation(N_DIGITS)[:N_PAIRS] for _ in range(n)])
        first, between = (float(t / second) for t in (FIRST_PAIR, BETWEEN_PAIRS))
        self.shown = first + between * np.arange(N_PAIRS)
        self.cues = self.shown[-1] + np.asarray(delay / second)
        self.asked = rng.integers(0, N_PAIRS, (len(self.cues), n))

    def synapse(self, block: int, pair: int) -> int:
        """Number of the synapse of a pair, all of a block being connected, by letter."""
        at = self.letters[block, pair] * N_DIGITS + self.digits[block, pair]
        return int(block * N_LETTERS * N_DIGITS + at)

    def letter_spikes(self) -> tuple[Any, Any]:
        """Units and times of the pairs' letters, then of the cues."""
        asked = np.take_along_axis(self.letters, self.asked.T, axis=1)
        units = np.concatenate([self.letters, asked], axis=1) + self.block[:, None] * N_LETTERS
        return self._in_order(units, np.concatenate([self.shown, self.cues]))

    def digit_spikes(self) -> tuple[Any, Any]:
        """Units and times of the pairs' digits."""
        return self._in_order(self.digits + self.block[:, None] * N_DIGITS, self.shown)

    def _in_order(self, units: Any, times: Any) -> tuple[Any, Any]:
        steps = np.round(times / float(DT / second))
        return units.T.ravel(), np.repeat(steps, self.n) * DT


def recall(
    device: Memristor,
    bias_voltage: Quantity,
    delay: Quantity,
    n_sequences: int,
    random_seed: int = 0,
    gamma: float | None = None,
    progress: Callable[[], Any] | None = None,
) -> Recalled:
    """Tie eight letters to digits and ask for one after each delay, in many sequences at once.

    Parameters
    ----------
    device : Memristor
    bias_voltage : Quantity, volt, (V,)
    delay : Quantity, second, (D,)
        Rising.
    n_sequences : int
        At each voltage.
    random_seed : int
        Of letters, digits, cues and noise.
    gamma : float, optional
        Learning rate of all synapses; the device's largest update if absent.
    progress : callable, optional
        Called after every delay.
    """
    rng = np.random.default_rng(random_seed)
    seed(random_seed)
    n_voltages = len(bias_voltage)
    sequences = _Sequences(n_voltages * n_sequences, delay, rng)
    net, digit, synapses = _network(sequences, device)
    voltages = np.repeat(np.asarray(bias_voltage / volt), n_sequences * N_LETTERS * N_DIGITS)
    synapses.Gamma = device.delta_f_max if gamma is None else gamma
    synapses.V_bias = voltages * volt
    digit.v = NOISE * rng.standard_normal(len(digit))
    firsts = range(0, sequences.n, n_sequences)
    traced = [sequences.synapse(block, k) for block in firsts for k in range(N_PAIRS)]
    times, traces = [0.0], [np.zeros(len(traced))]
    right: list[NDArray[np.bool_]] = []
    for cue in sequences.cues:
        n_looks = 8 if right else 60
        for until in [*np.linspace(times[-1], cue, n_looks)[1:-1], cue + float(DT / second)]:
            net.run(round((until - times[-1]) / float(DT / second)) * DT, namespace={})
            times.append(float(net.t / second))
            traces.append(np.asarray(synapses.F_now[:])[traced])
        highest = np.asarray(digit.v / volt).reshape(sequences.n, N_DIGITS).argmax(1)
        right.append(highest == sequences.digits[sequences.block, sequences.asked[len(right)]])
        if progress is not None:
            progress()
    age = sequences.cues[:, None] - sequences.shown[sequences.asked]
    by_voltage = (len(sequences.cues), n_voltages, n_sequences)
    return Recalled(
        bias_voltage=bias_voltage,
        delay=delay,
        age=age.reshape(by_voltage).swapaxes(0, 1) * second,
        right=np.array(right).reshape(by_voltage).swapaxes(0, 1),
        energy={
            term: np.asarray(getattr(synapses, f"E_{term}")[:] / joule)
            .reshape(n_voltages, -1)
            .sum(1)
            / n_sequences
            * joule
            for term in ("pulse", "bias", "read")
        },
        duration=net.t - FIRST_PAIR,
        trace=(np.array(times), np.array(traces).T.reshape(n_voltages, N_PAIRS, -1)),
    )


def _network(sequences: _Sequences, device: Memristor) -> tuple[Network, NeuronGroup, Synapses]:
    clock, n = Clock(DT, name="association_clock*"), sequences.n
    letter, teacher = (
        SpikeGeneratorGroup(n * size, *spikes, clock=clock, name=f"{name}*")
        for size, spikes, name in (
            (N_LETTERS, sequences.letter_spikes(), "letters"),
            (N_DIGITS, sequences.digit_spikes(), "teacher"),
        )
    )
    digit = NeuronGroup(
        n * N_DIGITS,
        DIGIT,
        threshold="v > v_threshold",
        reset="v = 0*volt",
        method="euler",
        clock=clock,
        namespace={"tau_m": MEMBRANE, "noise": NOISE, "v_threshold": TEACHER / 2},
        name="digits*",
    )
    taught = Synapses(
        *(teacher, digit),
        on_pre="v_post += lift",
        clock=clock,
        namespace={"lift": TEACHER},
        name="taught*",
    )
    taught.connect(j="i")
    place, block = np.arange(N_LETTERS * N_DIGITS), sequences.block[:, None]
    synapses = get_spiking_synapses(
        *(letter, digit, device),
        effect="v_post += charge/C_m",
        namespace={"C_m": CAPACITY},
        limits=device.write_limits(),
        connect={
            "i": (block * N_LETTERS + place // N_DIGITS).ravel(),
            "j": (block * N_DIGITS + place % N_DIGITS).ravel(),
        },
    )
    return Network(letter, teacher, digit, taught, synapses), digit, synapses
