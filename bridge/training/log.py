"""The log of a training: JSON lines for programs, TensorBoard for eyes."""

import json
import math
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from mstpn.synapses.support.files import atomic_write

__all__ = ["TrainingLog"]


class TrainingLog:
    """`log.jsonl` and `tensorboard/` in the folder of a training.

    Parameters
    ----------
    folder : Path
    step : int
        Agent steps so far; what the log says of later ones was lost with the last stop, and
        is dropped; so is a line that was cut off or is another's.
    """

    def __init__(self, folder: Path, step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "log.jsonl"
        if self._path.exists():
            lines = self._path.read_text().splitlines(keepends=True)
            kept = [line for line in lines if _step_of(line) <= step]
            atomic_write(self._path, "".join(kept).encode())
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, record: dict[str, Any]) -> None:
        """Add one record of numbers; NaN is left out."""
        known = {name: value for name, value in record.items() if value == value}
        with self._path.open("a") as file:
            file.write(json.dumps({"step": step} | known) + "\n")
        for name, value in known.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush everything."""
        self._board.close()


def _step_of(line: str) -> float:
    try:
        step = json.loads(line)["step"]
    except (ValueError, TypeError, KeyError):
        return math.inf
    return step if isinstance(step, int) else math.inf
