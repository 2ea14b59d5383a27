"""Arrays that pulses have programmed: from an agent to an array, to a file, and back to an agent.

The file is a safetensors file of what the devices were brought to, with one JSON text of what
they are, how it was done and what it took. It is of one agent and one device, whose numbers it
knows by their digests.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from brian2.units import second
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mstpn import __version__
from mstpn.bridge.saved import fingerprints
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import Checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.programming import ACCESS
from mstpn.synapses.programming.array import PulsedArray, PulseSpread
from mstpn.synapses.programming.write import Method, Written, write
from mstpn.synapses.support.files import atomic_write, one_line

__all__ = [
    "ArrayError",
    "ProgrammedArray",
    "Programming",
    "load_array",
    "program",
    "save_array",
]

_FORMAT = 1
_HEADER = "mstpn"
_DTYPES = {"weight": "F32", "given_up": "BOOL", "pulses": "I32"}
_SINCE = ("drift_nu", "drift_nu_dtod", "t_inference")
"""Deviations that come after an array is programmed."""
_STUCK = ("corrupt_devices_prob", "corrupt_devices_range")

Array = NDArray[Any]


class ArrayError(ValueError):
    """A file of an array is missing, damaged, or of another agent or device; says which."""


@dataclass(frozen=True)
class Programming:
    """How an array is programmed.

    Parameters
    ----------
    method : Method
    spread : PulseSpread
    start : float
        W of all devices before, but those that are stuck.
    access : str
        One of `mstpn.synapses.programming.ACCESS`.
    seed : int
    """

    method: Method
    spread: PulseSpread
    start: float
    access: str
    seed: int


@dataclass(frozen=True)
class ProgrammedArray:
    """What an array holds, as a file keeps it.

    Parameters
    ----------
    weight : ndarray of float32, (N, M)
        W that was reached.
    given_up : ndarray of bool, (N, M)
    pulses : ndarray of int32, (N, M)
    about : dict
        Digests, `Programming`, deviations of the devices, `facts`.
    """

    weight: Array
    given_up: Array
    pulses: Array
    about: dict[str, Any]

    def put_on(self, checkpoint: Checkpoint) -> Checkpoint:
        """The agent with these weights in place of its own."""
        return replace(checkpoint, tensors=checkpoint.tensors | {"layer.weight": self.weight})

    def nonidealities(self, settings: Sequence[str] = ()) -> Nonidealities:
        """How the array's devices deviate, and what else is said of them.

        Parameters
        ----------
        settings : sequence of str
            As for `Nonidealities.parse`, such as the drift since.

        Raises
        ------
        ValueError
            If they say otherwise of what the array was programmed with, or which devices stuck.
        """
        known: dict[str, float] = self.about["nonidealities"]
        for name in [text.partition("=")[0] for text in settings]:
            if name in known or name in _STUCK or (name == "seed" and known):
                raise ValueError(f"nonideal {name} is what the array was programmed with")
        own = [f"{k}={int(v) if k == 'seed' else repr(float(v))}" for k, v in known.items()]
        return Nonidealities.parse([*own, *settings])


def program(
    checkpoint: Checkpoint,
    device: Memristor,
    how: Programming,
    nonidealities: Nonidealities,
    progress: Callable[[float], Any] | None = None,
) -> ProgrammedArray:
    """Write an agent's long-term weights into an array.

    Parameters
    ----------
    checkpoint : Checkpoint
    device : Memristor
    how : Programming
    nonidealities : Nonidealities
        Of the devices; drift is what comes after, and only told of.
    progress : callable, optional
        As for `mstpn.synapses.programming.write.write`.

    Raises
    ------
    ValueError
        If a weight lies outside the window, or a deviation is not one of devices that are
        programmed.
    """
    for name, why in (
        ("weight_dtod", "is what programming leaves, and follows from it"),
        ("slow_fraction", "is not known of F that follows long-term pulses"),
    ):
        if getattr(nonidealities, name):
            raise ValueError(f"nonideal {name} {why}: leave it out")
    target = checkpoint.tensors["layer.weight"].T.astype(np.float64)
    deviations = nonidealities.draw(target.shape, device, STEP_DURATION)
    array = PulsedArray(
        device,
        np.full(target.shape, how.start),
        how.spread,
        how.seed,
        deviations=deviations,
        access=how.access,
    )
    written = write(array, target, how.method, progress)
    fixed = {k: v for k, v in nonidealities.to_json().items() if k not in _SINCE}
    facts = _facts(array, written, how.method)
    if nonidealities.t_inference > 0 * second:
        drifted = deviations.weight(array.weight) - target
        facts["error_rms_after_drift"] = float(np.sqrt(np.mean(drifted**2)))
    about = {
        "format": _FORMAT,
        **fingerprints(checkpoint, device),
        "device_name": device.name,
        "mstpn": __version__,
        "programming": asdict(how),
        "nonidealities": fixed if fixed.keys() - {"seed"} else {},
        "facts": facts,
    }
    return ProgrammedArray(
        _inside(array.weight.T, device),
        np.ascontiguousarray(written.given_up.T),
        np.ascontiguousarray(array.pulses.T),
        about,
    )


def _inside(weight: Array, device: Memristor) -> Array:
    """In float32, not rounded out of the window."""
    low, high = np.float32(device.weight_min), np.float32(device.weight_max)
    low = low if low >= device.weight_min else np.nextafter(low, high)
    high = high if high <= device.weight_max else np.nextafter(high, low)
    return np.ascontiguousarray(np.clip(weight.astype(np.float32), low, high))


def _facts(array: PulsedArray, written: Written, method: Method) -> dict[str, Any]:
    """What it took and what came of it, in SI units."""
    size = np.abs(array.weight - written.target)
    off = size > method.tolerance
    wait = float(method.wait(array.device) / second)
    by_rows, serial = (array.pulse_times[access] for access in ACCESS)
    return {
        "devices": int(size.size),
        "rounds": written.rounds,
        "pulses": int(array.pulses.sum()),
        "pulses_median": float(np.median(array.pulses)),
        "pulses_max": int(array.pulses.max()),
        "half_selected": array.half_selected,
        "disturbed_rms": float(np.sqrt(np.mean(array.disturbed**2))),
        "disturbed_max": float(np.abs(array.disturbed).max()),
        "pulse_j": array.pulse_energy,
        "half_selected_j": array.half_energy,
        "read_j": array.read_energy,
        "wait_s": wait,
        "pulse_time_rows_s": by_rows,
        "pulse_time_serial_s": serial,
        "wait_time_s": array.wait_time,
        "read_time_s": array.read_time,
        "time_s": array.time,
        "time_if_rows_wait_s": by_rows + wait * written.row_rounds,
        "time_if_devices_wait_s": serial + wait * written.device_rounds,
        "error_rms": float(np.sqrt(np.mean((array.weight - written.target) ** 2))),
        "error_mean": float(np.mean(array.weight - written.target)),
        "error_percentiles": {str(p): float(np.percentile(size, p)) for p in (50, 90, 99, 100)},
        "off_target": int(off.sum()),
        "given_up": int(written.given_up.sum()),
    }


def save_array(path: Path, array: ProgrammedArray) -> None:
    """Write a file that `load_array` reads; `path` is old or new, never half."""
    tensors = {name: getattr(array, name) for name in _DTYPES}
    about = array.about | {"sha256": _digest(tensors)}
    atomic_write(path, save(tensors, {_HEADER: json.dumps(about)}))


def load_array(path: Path, checkpoint: Checkpoint, device: Memristor) -> ProgrammedArray:
    """Read the array that holds an agent's weights on a device.

    Raises
    ------
    ArrayError
        If there is none, it is damaged, or it is of another agent or device; the message names
        the file.
    """
    if not path.is_file():
        raise ArrayError(f"array {path}: no such file")
    try:
        with safe_open(path, framework="np") as file:
            about = json.loads((file.metadata() or {})[_HEADER])
            if about["format"] != _FORMAT:
                raise ArrayError(f"'format' must be {_FORMAT}, got {about['format']!r}")
            _check_owner(about, checkpoint, device)
            tensors = _tensors(file, checkpoint.tensors["layer.weight"].shape)
        if about["sha256"] != _digest(tensors):
            raise ArrayError("damaged: its checksum differs")
        weight = tensors["weight"]
        if not (device.weight_min <= weight.min() and weight.max() <= device.weight_max):
            raise ArrayError("weight must be finite and within the device's window")
        array = ProgrammedArray(**tensors, about=about)
        array.nonidealities()
    except _DAMAGE as error:
        reason = f"no {error}" if isinstance(error, KeyError) else one_line(error)
        raise ArrayError(f"array {path}: {reason}") from error
    return array


_DAMAGE = (
    *(OSError, KeyError, ValueError, TypeError, AttributeError, OverflowError),
    *(SafetensorError, MemoryError, RecursionError),
)


def _check_owner(about: Mapping[str, Any], checkpoint: Checkpoint, device: Memristor) -> None:
    for name, digest in fingerprints(checkpoint, device).items():
        if about[name] != digest:
            raise ArrayError(f"it was programmed for another {name}")


def _tensors(file: Any, shape: tuple[int, ...]) -> dict[str, Array]:
    tensors = {}
    for name in sorted(set(file.keys()) ^ set(_DTYPES)):
        raise ArrayError(f"{'missing' if name in _DTYPES else 'unknown'} tensor {name!r}")
    for name, dtype in _DTYPES.items():
        header = file.get_slice(name)
        if (tuple(header.get_shape()), header.get_dtype()) != (shape, dtype):
            raise ArrayError(f"{name} must be {dtype} of shape {shape}")
        tensors[name] = file.get_tensor(name)
    return tensors


def _digest(tensors: Mapping[str, Array]) -> str:
    digest = hashlib.sha256()
    for name in _DTYPES:
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()
