"""Long-term weights written into an array by pulses: its devices and lines, and how it is done."""

__all__ = ["ACCESS", "METHODS"]

METHODS = ("verify", "subtract", "at-once", "open-loop")
"""How weights are written, see `mstpn.synapses.programming.write`."""
ACCESS = ("rows", "serial")
"""All devices of a row at once, or one device after the other."""
