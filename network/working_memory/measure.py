"""What a working memory recalls, for how long, how much at once, and for how many joules."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2.units import Quantity, joule, second
from numpy.typing import NDArray

from mstpn.network.working_memory.columns import COLUMNS, Columns
from mstpn.network.working_memory.model import BETWEEN_ITEMS, WorkingMemory
from mstpn.network.working_memory.theory import chance_of_recall, written
from mstpn.synapses.memristor import Memristor

__all__ = ["ABLATIONS", "DELAYS", "Film", "Kept", "Rehearsal"]

Array = NDArray[np.float64]

DELAYS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
"""From the shortest delay, `BETWEEN_ITEMS`, in units of tau(V_bias)."""
ABLATIONS = ("whole", "no plasticity", "smallest bias", "F shuffled", "cue of another item")


@dataclass(frozen=True)
class Kept:
    """What was recalled after some delays.

    Parameters
    ----------
    age : ndarray, (D, Q), second
        From the encoding of the item asked for to the cue, in each of Q questions.
    recalled : ndarray, (D, Q)
        Share of the hypercolumns outside the cue that answered right.
    expected : ndarray, (D, Q)
        The theory's.
    energy : dict of str to ndarray, (D,), joule
        Of all synapses by term, from the first encoding until the cue.
    asking : dict of str to float, joule
        Of the first question itself, until its answer.
    """

    age: Array
    recalled: Array
    expected: Array
    energy: dict[str, Array]
    asking: dict[str, float]


@dataclass(frozen=True)
class Film:
    """Spikes and F of items that are encoded, held in silence, and asked for.

    Parameters
    ----------
    items : ndarray of int, (L, H)
    asked : int
    cued : ndarray of int
        Hypercolumns.
    cells, times : ndarray, (S,)
        Spikes: pyramidal cell, second.
    shown : ndarray, (L,), second
    cue : float, second
        First spike of the cue.
    looks : ndarray, (K,), second
    short_term : ndarray, (L, K)
        Mean F of the synapses of each item alone.
    others : ndarray, (K,)
        Mean F of those that are no item's.
    """

    items: NDArray[np.int64]
    asked: int
    cued: NDArray[np.int64]
    cells: NDArray[np.int64]
    times: Array
    shown: Array
    cue: float
    looks: Array
    short_term: Array
    others: Array


class Rehearsal:
    """One network with connections of its own, asked again and again.

    Parameters
    ----------
    device : Memristor
    random_seed : int
        Of connections, items, cues and noise.
    n_cued : int
        Hypercolumns of a cue.
    columns : Columns
    progress : callable, optional
        Called after every question.

    Raises
    ------
    ValueError
        If a cue has no hypercolumn, or all.
    """

    def __init__(
        self,
        device: Memristor,
        random_seed: int,
        n_cued: int = 3,
        columns: Columns = COLUMNS,
        progress: Callable[[], Any] | None = None,
    ) -> None:
        if not 0 < n_cued < columns.hypercolumns:
            raise ValueError(
                f"cued hypercolumns must number 1 to {columns.hypercolumns - 1}, got {n_cued}"
            )
        self.memory = WorkingMemory(device, columns, random_seed)
        self._device, self._columns = device, columns
        self._rng = np.random.default_rng([random_seed, 1])
        self._n_cued, self._progress = n_cued, progress or (lambda: None)

    def keep(
        self,
        bias_voltage: Quantity,
        n_items: int,
        delays: Sequence[float] = DELAYS,
        n_questions: int = 4,
        gamma: float | None = None,
    ) -> Kept:
        """Encode items, and ask for some of them after each delay.

        Parameters
        ----------
        bias_voltage : Quantity, volt
        n_items : int
        delays : sequence of float
            Rising, in units of tau, from when the last item has been encoded.
        n_questions : int
            After each delay, of items chosen at random.
        gamma : float, optional
            As for `WorkingMemory.begin`.
        """
        memory, columns = self.memory, self._columns
        tau = self._device.time_constant(bias_voltage)
        items, shown = self._encoded(bias_voltage, n_items, gamma)
        rate = written(self._device.delta_f_max if gamma is None else gamma)
        age, recalled, expected = (np.zeros((len(delays), n_questions)) for _ in range(3))
        energy: list[dict[str, float]] = []
        asking: dict[str, float] = {}
        encoded = memory.net.t
        for d, delay in enumerate(delays):
            memory.wait(encoded + delay * tau)
            energy.append(self._joules())
            ages = np.asarray((memory.net.t - shown) / second)
            f = rate * np.exp(-ages / float(tau / second))
            for q in range(n_questions):
                asked, cued = int(self._rng.integers(n_items)), self._cue()
                if not asking:
                    asking = self._price(items[asked], cued)
                age[d, q] = ages[asked]
                recalled[d, q] = self._score(items[asked], items[asked], cued)
                expected[d, q] = chance_of_recall(items, f, asked, cued, columns, self._device)
        by_term = {term: np.array([e[term] for e in energy]) for term in energy[0]}
        return Kept(age, recalled, expected, by_term, asking)

    def ablate(
        self, bias_voltage: Quantity, n_items: int, delay: Quantity, n_questions: int
    ) -> dict[str, Array]:
        """Recall after one delay without each part of the memory, (Q,) by name of `ABLATIONS`.

        Parameters
        ----------
        bias_voltage : Quantity, volt
        n_items : int
            At least 2.
        delay : Quantity, second
            From when the last item has been encoded.
        n_questions : int
        """
        smallest = self._device.bias_voltage_min
        recall_without: dict[str, Array] = {}
        for name in ABLATIONS:
            bias = smallest if name == "smallest bias" else bias_voltage
            items, _ = self._encoded(bias, n_items, 0.0 if name == "no plasticity" else None)
            self.memory.wait(self.memory.net.t + delay)
            if name == "F shuffled":
                self.memory.shuffle()
            shares = []
            for _ in range(n_questions):
                asked, other = self._rng.permutation(n_items)[:2]
                shown = other if name == "cue of another item" else asked
                shares.append(self._score(items[asked], items[shown], self._cue()))
            recall_without[name] = np.array(shares)
        return recall_without

    def film(self, bias_voltage: Quantity, n_items: int, delay: Quantity, n_looks: int) -> Film:
        """Encode items, hold them in silence for a delay, and ask for the first.

        Parameters
        ----------
        bias_voltage : Quantity, volt
        n_items : int
        delay : Quantity, second
        n_looks : int
            At F, during the delay.
        """
        memory, columns = self.memory, self._columns
        monitor = memory.watch()
        memory.begin(bias_voltage)
        items, cued = columns.items(n_items, self._rng), self._cue()
        members = [columns.members(item, range(columns.hypercolumns)) for item in items]
        i, j = np.asarray(memory.synapses.i[:]), np.asarray(memory.synapses.j[:])
        among = np.array([np.isin(i, cells) & np.isin(j, cells) for cells in members])
        alone = among & (among.sum(0) == 1)
        looks, traces, others = [], [], []

        def look() -> None:
            f = np.asarray(memory.synapses.F_now[:])
            looks.append(float(memory.net.t / second))
            traces.append([f[own].mean() for own in alone])
            others.append(f[~among.any(0)].mean())

        look()
        shown = []
        for item in items:
            shown.append(float(memory.encode(item[None])[0] / second))
            look()
        cue = memory.net.t + delay
        for until in np.linspace(looks[-1], float(cue / second), n_looks)[1:]:
            memory.wait(until * second)
            look()
        memory.ask(items[0], cued)
        memory.wait(memory.net.t + BETWEEN_ITEMS)
        look()
        return Film(
            items=items,
            asked=0,
            cued=cued,
            cells=np.asarray(monitor.i[:]),
            times=np.asarray(monitor.t / second),
            shown=np.array(shown),
            cue=float(cue / second),
            looks=np.array(looks),
            short_term=np.array(traces).T,
            others=np.array(others),
        )

    def _encoded(
        self, bias_voltage: Quantity, n_items: int, gamma: float | None
    ) -> tuple[NDArray[np.int64], Quantity]:
        self.memory.begin(bias_voltage, gamma)
        items = self._columns.items(n_items, self._rng)
        return items, self.memory.encode(items)

    def _cue(self) -> NDArray[np.int64]:
        return np.sort(self._rng.permutation(self._columns.hypercolumns)[: self._n_cued])

    def _score(self, wanted: Any, shown: Any, cued: NDArray[np.int64]) -> float:
        answers = self.memory.answers(self.memory.probe(shown, cued))
        others = np.setdiff1d(np.arange(self._columns.hypercolumns), cued)
        self._progress()
        return float(np.mean(answers[others] == wanted[others]))

    def _joules(self) -> dict[str, float]:
        return {term: float(e / joule) for term, e in self.memory.synapses.energy().items()}

    def _price(self, item: Any, cued: NDArray[np.int64]) -> dict[str, float]:
        before = self._joules()
        self.memory.net.store("unasked")
        self.memory.ask(item, cued)
        after = self._joules()
        self.memory.net.restore("unasked")
        return {term: after[term] - before[term] for term in before}
