"""What a synaptic operation takes on neuromorphic processors, as published."""

from dataclasses import dataclass
from pathlib import Path

from mstpn.synapses.support.sourced import DataError, Sourced, read_table, sourced

__all__ = ["NEUROMORPHIC", "Processor", "processors"]

NEUROMORPHIC = Path(__file__).with_name("neuromorphic.toml")


@dataclass(frozen=True)
class Processor:
    """One neuromorphic processor.

    Parameters
    ----------
    label : str
    operation : Sourced, joule
        Energy of one synaptic operation.
    counts : str
        What that operation is.
    """

    label: str
    operation: Sourced
    counts: str


def processors() -> list[Processor]:
    """All processors in `neuromorphic.toml`, in its order.

    Raises
    ------
    DataError
        If the file is missing or malformed.
    """
    listed = []
    for name, entry in read_table(NEUROMORPHIC).items():
        for part in ("label", "counts"):
            if part not in entry:
                raise DataError(f"{name} has no {part!r}")
        listed.append(Processor(entry["label"], sourced(name, entry), entry["counts"]))
    return listed
