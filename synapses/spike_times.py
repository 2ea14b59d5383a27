"""The ST-Hebb synapse read by spikes whose time says the value: one spike per input and frame.

A frame, the network step of `mstpn.synapses.st_hebb`, is divided into B bins. A presynaptic unit
that has x to send emits one spike, the earlier the larger |x|, on the line of its sign::

    n = round(B |x| / z_max), B at most        bins that are left of the frame at the spike
    z = +-z_max n / B                          what its time says

and none where n is 0. From its spike on the unit holds the read voltage on its row until the frame
ends, so the read pulse is as wide as |z| is large; the current of a column steps at every spike,
and the postsynaptic unit integrates it. At the end of the frame the charge makes h, which goes out
as a spike of the next frame. Pulses are those of the graded synapse for z and h: with `WRITE` or
`WRITE_LIMITED` at the beginning of the next frame, before any read.

The device is that of the graded synapse, and so is a read: |z| read durations long. The bins are
therefore z_max t_read / B each, and together a read phase of some microseconds in which F, as of
the beginning of the frame, does not fade. Brian2's clock spreads this phase over the whole frame,
which makes no difference to anything that is computed, and gives spikes times that are seen.

Source: one spike per value, larger ones earlier: Thorpe, Delorme and Van Rullen, Neural Networks
14 (2001); pulse widths as inputs of a crossbar and the charge as its output: this package's choice
for the device of Weilenmann et al., Nature Communications 15 (2024).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Clock, Equations, NeuronGroup
from numpy.typing import NDArray

from mstpn.synapses import law
from mstpn.synapses.equations import (
    EVENT_DRIVEN,
    G_READ,
    SETTLE,
    WRITE,
    WRITE_LIMITED,
    code,
    constants,
)
from mstpn.synapses.group import guards_of, initial_of, namespace_of
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.rows import visit_rows
from mstpn.synapses.settling import SettlingSynapses
from mstpn.synapses.write_limits import WriteLimits

__all__ = [
    "MOST_BINS",
    "READ_UNTIL_END",
    "RECEIVED",
    "RECEIVING",
    "SEND",
    "SENDING",
    "SPIKE",
    "TANH_OF_CHARGE",
    "TIMES",
    "SpikeCode",
    "get_receiving",
    "get_sending",
    "get_timed_synapses",
]

MOST_BINS = 256
"""Of a frame."""
TIMES = ("own", "shuffled", "mean")
"""Of spikes, see `SpikeCode`."""

SENDING = Equations("""
    x : 1                                               # to be sent in this frame
    line : 1                                            # of its sign, 1 or -1
    spike_bin : integer                                 # of this frame; n_bins for no spike
    z : 1                                               # what the spike's time says, 0 before it
    z_last : 1                                          # of the last frame
    z_power : 1                                         # abs(z_last)**energy_exponent
    due : boolean                                       # whether synapses are to be visited
    bins_left = n_bins - t_in_timesteps % n_bins : integer (shared)   # of the frame, with this one
""")
"""Presynaptic units."""
_signed_bins = law.function(law.CONVERTED, "x, step, bound")
_BINS = law.put(law.CONVERTED, x="(x/z_bin)", step="1", bound="n_bins")
SEND = f"""
    z_last = z
    z_power = abs(z_last)**energy_exponent
    z = 0
    signed_bins = {_BINS}
    line = sign(signed_bins)
    spike_bin = n_bins - int(abs(signed_bins))
    due = spike_bin < n_bins or z_last != 0
"""
"""At the beginning of a frame, before its first bin: when to spike."""
SPIKE = "n_bins - bins_left == spike_bin"
"""Condition of a spike, in every bin."""
RECEIVED = "z = line*bins_left*z_bin"
"""At a spike, after it was read."""
_DRIVEN = "bins_left == n_bins and due"

RECEIVING = Equations("""
    dQ/dt = I*read_share : coulomb                      # charge of this frame
    I : amp                                             # steps at spikes
    b : 1
    h : 1                                               # output of the last frame
    h_power : 1                                         # abs(h)**energy_exponent
""")
"""Postsynaptic units; read_share is that of the read phase in a frame, over which the clock
spreads it."""
TANH_OF_CHARGE = """
    h = tanh(Q/(V_read*kappa*t_read) + b)
    h_power = abs(h)**energy_exponent
    I = 0*amp
    Q = 0*coulomb
"""
"""At the end of a frame."""

READ_UNTIL_END = code(
    G_READ,
    "I_post += V_read*(G_read - G_offset)*line_pre",
    "E_read += V_read**2*G_read*t_bin*bins_left_pre",
)
"""At a spike: its row is at the read voltage for all bins that are left, which are charged at once.
The periphery takes the offset conductance's current away."""


@dataclass(frozen=True)
class SpikeCode:
    """How values become times.

    Parameters
    ----------
    bins : int
        B, of a frame.
    full_scale : float
        z_max, the |x| from which on the spike is in the first bin.
    times : {"own", "shuffled", "mean"}
        Of each spike its input's own; or those of a frame exchanged among its spikes at random; or
        for all spikes of a frame that of their mean |x|. Which inputs spike, and their signs, are
        as they were, and what time says of an input is lost.

    Raises
    ------
    ValueError
        If there are fewer than 2 or more than `MOST_BINS` bins, the full scale is not positive
        and finite, or there are no such times.
    """

    bins: int
    full_scale: float
    times: str = "own"

    def __post_init__(self) -> None:
        if not 2 <= self.bins <= MOST_BINS or self.bins != int(self.bins):
            raise ValueError(f"bins must be an integer in [2, {MOST_BINS}], got {self.bins}")
        if not (math.isfinite(self.full_scale) and self.full_scale > 0):
            raise ValueError(f"full_scale must be positive and finite, got {self.full_scale}")
        if self.times not in TIMES:
            raise ValueError(f"times must be one of {', '.join(TIMES)}, got {self.times!r}")

    @property
    def bin_size(self) -> float:
        """What one bin is of z."""
        return self.full_scale / self.bins

    def retime(self, x: NDArray[np.float64], seed: int, frame: int) -> None:
        """Give, in place, the inputs that spike the sizes of other times than their own."""
        spiking = np.flatnonzero(_signed_bins(x / self.bin_size, 1.0, self.bins))
        size = np.abs(x[spiking])
        if self.times == "shuffled":
            size = np.random.default_rng([seed, frame]).permutation(size)
        elif self.times == "mean" and size.size:
            size = np.full_like(size, size.mean())
        x[spiking] = np.copysign(size, x[spiking])

    def constants(self, device: Memristor) -> dict[str, Any]:
        """Namespace of the equations, beside `mstpn.synapses.equations.constants`."""
        t_bin = self.bin_size * device.read_duration
        return {"n_bins": self.bins, "z_bin": self.bin_size, "t_bin": t_bin}


def get_sending(
    n: int,
    device: Memristor,
    frame_clock: Clock,
    bin_clock: Clock,
    spike_code: SpikeCode,
    *,
    name: str = "sending*",
) -> NeuronGroup:
    """Presynaptic units that send x as one spike a frame.

    Set x before a frame begins, in its slot `before_start` with an order below 0 at the latest.

    Parameters
    ----------
    n : int
    device : Memristor
    frame_clock, bin_clock : Clock
        A bin is a frame over `spike_code.bins`.
    spike_code : SpikeCode
    name : str
    """
    group = NeuronGroup(
        n,
        SENDING,
        threshold=SPIKE,
        reset=RECEIVED,
        events={"driven": _DRIVEN},
        method="exact",
        clock=bin_clock,
        namespace=constants(device) | spike_code.constants(device),
        name=name,
    )
    group.run_regularly(SEND, when="before_start", clock=frame_clock)
    return group


def get_receiving(
    n: int,
    device: Memristor,
    frame_clock: Clock,
    bin_clock: Clock,
    spike_code: SpikeCode,
    *,
    name: str = "receiving*",
) -> NeuronGroup:
    """Postsynaptic units that integrate the current of a frame, with b = 0.

    Parameters
    ----------
    n : int
    device : Memristor
    frame_clock, bin_clock : Clock
    spike_code : SpikeCode
    name : str
    """
    own = spike_code.constants(device)
    own["read_share"] = float(own["n_bins"] * own["t_bin"] / frame_clock.dt)
    group = NeuronGroup(
        n,
        RECEIVING,
        events={"frame_end": "t_in_timesteps % n_bins == n_bins - 1"},
        method="euler",
        clock=bin_clock,
        namespace=constants(device) | own,
        name=name,
    )
    group.state_updater.when = "after_synapses"
    group.run_on_event("frame_end", TANH_OF_CHARGE, when="end")
    return group


def get_timed_synapses(
    sending: NeuronGroup,
    receiving: NeuronGroup,
    device: Memristor,
    spike_code: SpikeCode,
    *,
    limits: WriteLimits | None = None,
    name: str = "synapses*",
) -> SettlingSynapses:
    """Synapses all to all with W = Gamma = F = 0, visited as a frame begins and at spikes.

    W, Gamma, V_bias and F may be assigned between frames, as those of
    `mstpn.synapses.st_hebb.get_synapses`.

    Parameters
    ----------
    sending, receiving : NeuronGroup
        From `get_sending` and `get_receiving`.
    device : Memristor
    spike_code : SpikeCode
        Theirs.
    limits : WriteLimits, optional
        Pulses follow `WRITE_LIMITED` instead of `WRITE`.
    name : str
    """
    synapses = SettlingSynapses(
        sending,
        receiving,
        EVENT_DRIVEN,
        settle=SETTLE,
        start=("lastupdate", "t_settled"),
        guards=guards_of(device, "event-driven", False, False),
        initial=initial_of(device, None),
        on_pre={"write": WRITE if limits is None else WRITE_LIMITED, "read": READ_UNTIL_END},
        on_event={"write": "driven", "read": "spike"},
        method="exact",
        clock=sending.clock,
        namespace=namespace_of(device, limits, None, 0.0) | spike_code.constants(device),
        name=name,
    )
    synapses.memristor = device
    synapses.write.order = synapses.read.order - 1
    for pathway in synapses._pathways:
        visit_rows(pathway, same=("lastupdate",))
    synapses.connect()
    return synapses
