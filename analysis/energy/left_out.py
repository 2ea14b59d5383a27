"""What the paper's energy estimate leaves out: reads, converters, digital arithmetic."""

from dataclasses import dataclass
from pathlib import Path

from brian2.units import Quantity

from mstpn.analysis.energy.recording import Recording
from mstpn.synapses.periphery import CONVERTERS
from mstpn.synapses.support.sourced import DataError, Sourced, read_table, sourced

__all__ = ["LEFT_OUT", "Part", "left_out"]

LEFT_OUT = Path(__file__).with_name("left_out.toml")


@dataclass(frozen=True)
class Part:
    """One part of the system beyond the synapses.

    Parameters
    ----------
    label : str
    per : {"event", "pulse", "unit", "step"}
        What it is counted by.
    times : float
        Operations per `per`.
    shared : bool
        A GPU's agent needs it too.
    cost : Sourced, joule
        Of one operation.
    """

    label: str
    per: str
    times: float
    shared: bool
    cost: Sourced

    def energy(self, recording: Recording) -> Quantity:
        """Joules of a whole game."""
        n_units = recording.weight.shape[1]
        count = {
            "event": int(recording.event_count.sum()),
            "pulse": int(recording.event_count[:-1].sum()) * n_units,
            "unit": recording.n_frames * n_units,
            "step": recording.n_frames,
        }[self.per]
        return self.cost.value * (self.times * count)


def left_out() -> list[Part]:
    """All parts in `left_out.toml`, after the converters.

    Raises
    ------
    DataError
        If a file is missing or malformed.
    """
    parts = []
    for name, entry in (read_table(CONVERTERS) | read_table(LEFT_OUT)).items():
        if entry.get("per") not in ("event", "pulse", "unit", "step"):
            raise DataError(
                f"{name}: per must be event, pulse, unit or step, got {entry.get('per')!r}"
            )
        cost = sourced(name, entry)
        parts.append(Part(entry["label"], entry["per"], entry["times"], entry["shared"], cost))
    return parts
