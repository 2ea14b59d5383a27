"""A working memory of spiking minicolumns: a volley encodes an item, F keeps it, a part recalls it.

Hypercolumns hold minicolumns of pyramidal cells, and an item is one minicolumn in each hypercolumn.
Shown once, every cell of the item spikes once, and each coincidence of two hypercolumns writes F of
the memristor between them. Then nothing spikes, and F decays with tau(V_bias). To recall, the cue
makes the item's cells spike in some hypercolumns, and an unspecific drive rises in all of them::

    C_m dv/dt = -C_m v/tau_m + noise,     spike where v + drive > v_threshold
    v += V_read kappa F t_read / C_m      at a spike of the cue, W being 0

The minicolumn that the cue lifts highest fires first, and its basket cell silences the others of
its hypercolumn: that is the hypercolumn's answer. Where none has spiked it guesses.

Source: columns, their competition by basket cells, and memory by fast Hebbian potentiation that
fades follow Fiebig and Lansner, J. Neurosci. 37, 83-96, 2017. Theirs is a model of cortex, with
BCPNN weights of both signs, adaptation and depression, and recalls without a cue; here the
plasticity is the device's, which only potentiates, cells are leaky integrate-and-fire, and
inhibition and drive are fixed. The synapse is that of `mstpn.synapses.spiking`.
"""

from typing import Any

import numpy as np
from brian2 import Clock, Network, NeuronGroup, SpikeMonitor, Synapses, seed
from brian2.units import Quantity, ms, mvolt, pfarad, second
from numpy.typing import ArrayLike, NDArray

from mstpn.network.stepper import Stepper
from mstpn.network.working_memory.columns import COLUMNS, Columns
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.spiking import get_spiking_synapses

__all__ = [
    "BETWEEN_ITEMS",
    "CAPACITY",
    "DT",
    "MEMBRANE",
    "NOISE",
    "RECALL",
    "RISE",
    "THRESHOLD",
    "VOLLEY",
    "WorkingMemory",
]

Ints = NDArray[np.int64]

DT: Quantity = 0.1 * ms
VOLLEY: Quantity = 2 * ms
"""The cells of an item, or of a cue, spike at random within this time."""
BETWEEN_ITEMS: Quantity = 60 * ms
"""From one item to the next, and to the first cue: what the traces of one have left for the other
is below the device's smallest pulse, and of what spikes and inhibition did to membranes 0.3 % are
left, so that F is all there is."""
MEMBRANE: Quantity = 10 * ms
CAPACITY: Quantity = 1 * pfarad
NOISE: Quantity = 0.5 * mvolt
"""Standard deviation of a membrane."""
THRESHOLD: Quantity = 5 * mvolt
INHIBITION: Quantity = 15 * mvolt
"""Below rest, where a basket cell puts the membranes that it silences."""
REFRACTORY: Quantity = 20 * ms
RISE: Quantity = 1 * mvolt / ms
"""Of the drive, from the end of the cue on."""
RISING: Quantity = 6 * ms
RECALL: Quantity = VOLLEY + RISING
"""From a cue's first spike until the answer is taken."""
_NEVER: Quantity = -1e6 * second

PYRAMIDAL = """
    dv/dt = -v/tau_m + noise*sqrt(2/tau_m)*xi : volt (unless refractory)
    drive = rise*(t - t_drive)*int(t > t_drive)*int(t < t_drive + rising) : volt
    t_drive : second (shared)
    t_shown : second                                    # when an item or a cue makes it spike
    n_spikes : integer
"""
SPIKES = "v + drive > v_threshold or abs(t - t_shown) < dt/2"


class WorkingMemory:
    """The network, and what is done with it.

    Parameters
    ----------
    device : Memristor
    columns : Columns
    random_seed : int
        Of connections, noise, volleys and guesses.

    Attributes
    ----------
    synapses : SettlingSynapses
        The memristors, from pyramidal cells to those of other hypercolumns.
    pyramidal : NeuronGroup
    net : Network
    """

    def __init__(
        self,
        device: Memristor,
        columns: Columns = COLUMNS,
        random_seed: int = 0,
    ) -> None:
        self.columns, self._device = columns, device
        self._rng = np.random.default_rng(random_seed)
        seed(random_seed)
        clock = Clock(DT, name="memory_clock*")
        self.pyramidal, *inhibition = _cells(columns, clock)
        self.synapses = get_spiking_synapses(
            *(self.pyramidal, self.pyramidal, device),
            effect="v_post += charge/C_m",
            namespace={"C_m": CAPACITY},
            limits=device.write_limits(),
            connect=_connections(columns, self._rng),
        )
        self.net = Network(self.pyramidal, *inhibition, self.synapses)
        self.pyramidal.t_shown = self.pyramidal.t_drive = _NEVER
        self._stepper = Stepper(self.net, {})
        self.net.store("blank")

    def begin(self, bias_voltage: Quantity, gamma: float | None = None) -> None:
        """Forget everything, and hold all devices at a voltage from t = 0 on.

        Parameters
        ----------
        bias_voltage : Quantity, volt
        gamma : float, optional
            Learning rate of all synapses; the device's largest update if absent.
        """
        self.net.restore("blank")
        n = self.columns.pyramidal
        self.pyramidal.v = self._rng.standard_normal(n) * NOISE
        self.synapses.Gamma = self._device.delta_f_max if gamma is None else gamma
        self.synapses.V_bias = bias_voltage

    def encode(self, items: Ints) -> Quantity:
        """Show items one after the other, once each; return when each was shown, (n,)."""
        shown = []
        for item in items:
            shown.append(float(self.net.t / second))
            self._show(self.columns.members(item, range(self.columns.hypercolumns)))
            self._run(BETWEEN_ITEMS)
        return shown * second

    def wait(self, until: Quantity) -> None:
        """Run in silence until a time, to the nearest step."""
        left = until - self.net.t
        if left > DT / 2:
            self._run(left)

    def ask(self, item: ArrayLike, cued: ArrayLike) -> Ints:
        """Show an item in some hypercolumns only, let the drive rise, and return spikes.

        Parameters
        ----------
        item : array_like of int, (H,)
        cued : array_like of int
            Hypercolumns.

        Returns
        -------
        ndarray of int, (H, M)
            Spikes of each minicolumn since the cue's first.
        """
        before = np.array(self.pyramidal.n_spikes[:])
        self._show(self.columns.members(item, cued))
        self.pyramidal.t_drive = self.net.t + VOLLEY
        self._run(RECALL + DT)
        spikes = np.asarray(self.pyramidal.n_spikes[:]) - before
        return np.asarray(
            spikes.reshape(self.columns.hypercolumns, self.columns.minicolumns, -1).sum(2)
        )

    def answers(self, spikes: Ints) -> Ints:
        """The minicolumn of most spikes in each hypercolumn; a tie, or silence, is a guess."""
        return np.asarray((spikes + self._rng.random(spikes.shape)).argmax(1))

    def probe(self, item: ArrayLike, cued: ArrayLike) -> Ints:
        """As `ask`, and then everything is as before: a question unasked."""
        self.net.store("held")
        spikes = self.ask(item, cued)
        self.net.restore("held")
        return spikes

    def shuffle(self) -> None:
        """Deal F to other synapses at random."""
        self.synapses.F = self._rng.permutation(self.synapses.F_now[:])

    def watch(self) -> SpikeMonitor:
        """Forget everything, and return a monitor of the pyramidal cells."""
        self.net.restore("blank")
        monitor = SpikeMonitor(self.pyramidal, name="memory_spikes*")
        self.net.add(monitor)
        self._stepper.prepare()
        self.net.store("blank")
        return monitor

    def _show(self, cells: Ints) -> None:
        steps = self._rng.integers(0, round(float(VOLLEY / DT)), len(cells))
        self.pyramidal.t_shown[cells] = self.net.t + steps * DT

    def _run(self, duration: Quantity) -> None:
        self._stepper.step(round(float(duration / DT)) * DT)


def _cells(columns: Columns, clock: Clock) -> tuple[NeuronGroup, NeuronGroup, Synapses, Synapses]:
    pyramidal = NeuronGroup(
        columns.pyramidal,
        PYRAMIDAL,
        threshold=SPIKES,
        reset="v = 0*volt; n_spikes += 1",
        refractory=REFRACTORY,
        method="euler",
        clock=clock,
        namespace={
            "tau_m": MEMBRANE,
            "noise": NOISE,
            "v_threshold": THRESHOLD,
            "rise": RISE,
            "rising": RISING,
        },
        name="pyramidal*",
    )
    basket = NeuronGroup(
        columns.hypercolumns * columns.minicolumns,
        "u : 1",
        threshold="u > 0",
        reset="u = 0",
        clock=clock,
        name="basket*",
    )
    excited = Synapses(pyramidal, basket, on_pre="u_post += 1", clock=clock, name="excited*")
    cell = np.arange(columns.pyramidal)
    excited.connect(i=cell, j=cell // columns.cells)
    silenced = Synapses(
        *(basket, pyramidal),
        on_pre="v_post = -v_inhibition",
        clock=clock,
        namespace={"v_inhibition": INHIBITION},
        name="silenced*",
    )
    minicolumn = cell // columns.cells
    same = minicolumn[:, None] // columns.minicolumns == np.arange(len(basket)) // (
        columns.minicolumns
    )
    of, by = np.nonzero(same & (minicolumn[:, None] != np.arange(len(basket))))
    silenced.connect(i=by, j=of)
    return pyramidal, basket, excited, silenced


def _connections(columns: Columns, rng: np.random.Generator) -> dict[str, Any]:
    hypercolumn = np.arange(columns.pyramidal) // (columns.minicolumns * columns.cells)
    among = hypercolumn[:, None] != hypercolumn
    i, j = np.nonzero(among & (rng.random(among.shape) < columns.connection))
    return {"i": i, "j": j}
