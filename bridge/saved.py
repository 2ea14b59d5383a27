"""Play that was saved on its way: one file of plain arrays, replaced as a whole.

The file is a NumPy archive (no pickle) with a checksum of each array. Beside the state of
the game in play it holds the records of the games before, and the settings of the play: a
state goes on under those settings alone.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstpn.bridge.play import GameRecord
from mstpn.network.twin.checkpoint import Checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.files import one_line, replacing
from mstpn.synapses.support.state import StateError

__all__ = ["Saved", "fingerprints", "load_play", "save_play"]

_FORMAT = 3
_HEADER = "header"
_LARGEST_BYTES = 2**30


@dataclass(frozen=True)
class Saved:
    """Play on its way.

    Parameters
    ----------
    records : sequence of GameRecord
        Of the games that are over.
    state : mapping of str to ndarray
        `Game.state` of the game in play; empty if none has begun.
    """

    records: Sequence[GameRecord] = ()
    state: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def fingerprints(checkpoint: Checkpoint, device: Memristor) -> dict[str, str]:
    """Digests of the numbers of an agent and a device, whatever their files are called."""
    tensors = hashlib.sha256(repr(checkpoint.config).encode())
    for name, value in sorted(checkpoint.tensors.items()):
        tensors.update(name.encode() + value.tobytes())
    parameters = {f.name: float(getattr(device, f.name)) for f in fields(device) if f.metadata}
    numbers = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode())
    return {"checkpoint": tensors.hexdigest()[:16], "device": numbers.hexdigest()[:16]}


def save_play(path: Path, saved: Saved, settings: Mapping[str, Any]) -> None:
    """Write a file that `load_play` reads; `path` is old or new, never half.

    Parameters
    ----------
    path : Path
    saved : Saved
    settings : mapping
        What JSON can say and the continuation depends on.
    """
    header = {
        "format": _FORMAT,
        "settings": dict(settings),
        "games": [record.to_json() for record in saved.records],
    }
    arrays: dict[str, Any] = {_HEADER: np.array(json.dumps(header)), **saved.state}
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)


def load_play(path: Path, settings: Mapping[str, Any]) -> Saved:
    """Read what `save_play` wrote, under the same settings.

    Raises
    ------
    StateError
        If there is no such file, it is damaged, or a setting is another one; the message
        names file and setting.
    """
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise StateError("larger than any saved game")
        header, arrays = _read(path)
        saved_settings = header["settings"]
        for name, value in settings.items():
            if saved_settings.get(name) != value:
                raise StateError(f"saved with {name} {saved_settings.get(name)!r}, not {value!r}")
        return Saved([GameRecord.from_json(game) for game in header["games"]], arrays)
    except OSError as error:
        raise StateError(f"saved game {path}: {error.strerror or error}") from error
    except StateError as error:
        raise StateError(f"saved game {path}: {error}") from error
    except _DAMAGE as error:
        raise StateError(f"saved game {path} is damaged: {one_line(error)}") from error


_DAMAGE = (
    *(ValueError, KeyError, TypeError, AttributeError, EOFError, RecursionError, MemoryError),
    *(NotImplementedError, RuntimeError, OverflowError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error),
)
"""What NumPy and zipfile raise at damaged archives; the checksums are zipfile's."""


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > info.compress_size:
                raise StateError("compressed, which no saved game is")
        broken = archive.testzip()
    if broken is not None:
        raise StateError(f"{broken} is damaged: its checksum differs")
    with np.load(path, allow_pickle=False) as content:
        arrays = dict(content)
    header = json.loads(str(arrays.pop(_HEADER)))
    if header["format"] != _FORMAT:
        raise StateError(f"'format' must be {_FORMAT}, got {header['format']!r}")
    return header, arrays
