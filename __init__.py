"""Memristive short-term plasticity in Brian2: device, synapse, network, game and joules.

Rooms: `mstpn.synapses`, `mstpn.network`, `mstpn.bridge`, `mstpn.analysis`; `mstpn.commands` are the
programs that ``mstpn --help`` lists.
"""

__all__ = ["__version__"]

__version__ = "0.2.0"
