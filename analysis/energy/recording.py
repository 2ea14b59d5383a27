"""What a game leaves behind so that all its energies can be counted later.

The presynaptic vector z(t) and the output h(t) of every frame, with W, Lambda and Gamma,
determine F and every pulse, read and bias energy of every synapse. A game is therefore
recorded as its graded events (z != 0) and h, some 10 bytes an event, and not as 169,984
traces.

`Recorder` writes a part of the game every few seconds of it. Each part is written beside
and renamed, so whatever ends the program, all parts but the one in memory are whole.
"""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from brian2.units import Quantity, second
from brian2.units.fundamentalunits import fail_for_dimension_mismatch
from numpy.typing import NDArray

from mstpn.synapses.support.files import replacing
from mstpn.synapses.write_limits import WriteLimits

__all__ = [
    "Recorder",
    "Recording",
    "RecordingError",
    "dense",
    "load_parts",
    "parts_folder",
    "refuse_unfinished",
]

Array = NDArray[np.float64]
_PARAMETERS = "parameters.npz"
_FRAMES_PER_PART = 64
_GAME = ("h", "event_count", "event_unit", "event_z")
_IDEAL = WriteLimits()


class RecordingError(ValueError):
    """A recording is missing, damaged or in the way; says which and why."""


@dataclass(frozen=True)
class Recording:
    """One game of an m-STPN layer: T frames, M presynaptic and N postsynaptic units.

    Parameters
    ----------
    weight, decay, gamma : ndarray, (M, N)
        W, Lambda and Gamma per network step, as the network held them.
    step_duration : Quantity, second
        Time of one step.
    h : ndarray, (T, N)
        Output of every frame.
    event_count : ndarray of int, (T,)
        Events of every frame.
    event_unit : ndarray of int, (events,)
        Presynaptic unit of each event, frame after frame.
    event_z : ndarray, (events,)
        Its z, not 0.
    limits : WriteLimits
        Of the updates.
    attributes : mapping of str to str
        Seed, checkpoint and whatever else says where the game is from.

    Raises
    ------
    RecordingError
        If shapes disagree, a value is not finite or Lambda is outside (0, 1).
    DimensionMismatchError
        If `step_duration` is no time.
    """

    weight: Array
    decay: Array
    gamma: Array
    step_duration: Quantity
    h: Array
    event_count: NDArray[np.integer[Any]]
    event_unit: NDArray[np.integer[Any]]
    event_z: Array
    limits: WriteLimits = _IDEAL
    attributes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fail_for_dimension_mismatch(self.step_duration, second, "step_duration must be in second")
        n_events = int(self.event_count.sum())
        expected = {
            "decay": self.weight.shape,
            "gamma": self.weight.shape,
            "h": (len(self.event_count), self.weight.shape[1]),
            "event_unit": (n_events,),
            "event_z": (n_events,),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise RecordingError(
                    f"{name} must have shape {shape}, got {getattr(self, name).shape}"
                )
        for name in ("weight", "decay", "gamma", "h", "event_z"):
            if not np.isfinite(getattr(self, name)).all():
                raise RecordingError(f"{name} must be finite, got NaN or infinity")
        if not ((self.decay > 0) & (self.decay < 1)).all():
            raise RecordingError("decay must lie in (0, 1)")
        if n_events and not 0 <= self.event_unit.min() <= self.event_unit.max() < len(self.weight):
            raise RecordingError(f"event_unit must lie in [0, {len(self.weight)})")
        if float(self.step_duration) <= 0:
            raise RecordingError(f"step_duration must be positive, got {self.step_duration}")

    @classmethod
    def of_no_frame(
        cls, weight: Array, decay: Array, gamma: Array, step_duration: Quantity, limits: WriteLimits
    ) -> "Recording":
        """A game before its first frame."""
        return cls(
            *(weight, decay, gamma, step_duration),
            h=np.empty((0, weight.shape[1])),
            event_count=np.empty(0, int),
            event_unit=np.empty(0, int),
            event_z=np.empty(0),
            limits=limits,
        )

    def replace(self, **changes: Any) -> "Recording":
        """The same game with other parameters, such as `step_duration` or `decay`."""
        return replace(self, **changes)

    def digest(self) -> str:
        """SHA-256 of every number and attribute: tells a damaged copy from a whole one."""
        sha = hashlib.sha256()
        for name in ("weight", "decay", "gamma", "h", "event_z"):
            sha.update(np.asarray(getattr(self, name), dtype="<f8").tobytes())
        for name in ("event_count", "event_unit"):
            sha.update(np.asarray(getattr(self, name), dtype="<i8").tobytes())
        rest = [float(self.step_duration), *astuple(self.limits), sorted(self.attributes.items())]
        sha.update(json.dumps(rest).encode())
        return sha.hexdigest()

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return len(self.event_count)

    @property
    def n_synapses(self) -> int:
        """Number of synapses M N."""
        return int(self.weight.size)

    @property
    def duration(self) -> Quantity:
        """Time of the whole game."""
        return self.n_frames * self.step_duration

    def dense(self, event_values: Array, start: int, stop: int) -> Array:
        """Values of the events in the frames [start, stop) as a matrix, (M, stop - start).

        Parameters
        ----------
        event_values : ndarray, (events,)
            `event_z`, or what was made of it; 0 where there is no event.
        """
        events = slice(self._ends[start], self._ends[stop])
        return dense(
            *(len(self.weight), self.event_count[start:stop]),
            *(self.event_unit[events], event_values[events]),
        )

    def synapse(self, presynaptic: int, postsynaptic: int) -> "Recording":
        """The same game as one of its synapses had it, with M = N = 1.

        Raises
        ------
        ValueError
            If there is no such synapse.
        """
        m, n = self.weight.shape
        if not (0 <= presynaptic < m and 0 <= postsynaptic < n):
            raise ValueError(
                f"synapse must lie in [0, {m}) x [0, {n}), got ({presynaptic}, {postsynaptic})"
            )
        mine = self.event_unit == presynaptic
        frame = np.repeat(np.arange(self.n_frames), self.event_count)
        own = {
            name: getattr(self, name)[presynaptic, postsynaptic].reshape(1, 1)
            for name in ("weight", "decay", "gamma")
        }
        return self.replace(
            **own,
            h=self.h[:, postsynaptic, None],
            event_count=np.bincount(frame[mine], minlength=self.n_frames),
            event_unit=np.zeros(np.count_nonzero(mine), dtype=int),
            event_z=self.event_z[mine],
        )

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(self.event_count)])


def dense(
    n_units: int,
    event_count: NDArray[np.integer[Any]],
    event_unit: NDArray[np.integer[Any]],
    event_values: Array,
) -> Array:
    """Values of events as a matrix of units and frames, 0 where there is none."""
    matrix = np.zeros((n_units, len(event_count)))
    matrix[event_unit, np.repeat(np.arange(len(event_count)), event_count)] = event_values
    return matrix


def parts_folder(path: Path) -> Path:
    """Where the parts of a game lie that will become the ledger `path`."""
    return path.with_name(f"{path.name}.parts")


def refuse_unfinished(path: Path) -> None:
    """Check that no game is in the way of the ledger `path`.

    Raises
    ------
    RecordingError
        If parts of an unfinished one lie there.
    """
    folder = parts_folder(path)
    if folder.exists():
        raise RecordingError(
            f"{folder} holds an unfinished game: load it as a ledger, or remove it"
        )


class Recorder:
    """Records a game as it goes; a context manager that writes what it has when it is left.

    Parameters
    ----------
    path : Path
        The ledger to be; its parts lie in `parts_folder(path)` until `discard`.
    weight, decay, gamma : ndarray, (M, N)
    step_duration : Quantity, second
    attributes : mapping of str to str
    limits : WriteLimits
    resume_at : int, optional
        Go on with the game whose parts lie there after this many frames; later ones are
        dropped.
    then : callable, optional
        Called with `h`, `event_count`, `event_unit` and `event_z` of each part once it is
        written, of those also that lie there when resuming.

    Raises
    ------
    RecordingError
        If parts of an unfinished game lie there already; when resuming, if they are not of
        this network or hold fewer frames.
    """

    def __init__(
        self,
        path: Path,
        *,
        weight: Array,
        decay: Array,
        gamma: Array,
        step_duration: Quantity,
        attributes: Mapping[str, str],
        limits: WriteLimits = _IDEAL,
        resume_at: int | None = None,
        then: Callable[..., object] | None = None,
    ) -> None:
        self._then = then
        self.folder = parts_folder(path)
        head = {
            "weight": weight,
            "decay": decay,
            "gamma": gamma,
            "step_second": np.float64(step_duration / second),
            "attributes": np.array(json.dumps(dict(attributes))),
            "limits": np.array(astuple(limits)),
        }
        self._unit_type = np.min_scalar_type(len(weight) - 1)
        self.n_frames = resume_at or 0
        self._empty()
        if resume_at:
            self._go_on(head)
            return
        if resume_at is None:
            refuse_unfinished(path)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        _write_part(self.folder / _PARAMETERS, **head)

    def _go_on(self, head: Mapping[str, Any]) -> None:
        """Keep the first `n_frames` of the parts that lie there."""
        saved = _read_part(self.folder / _PARAMETERS)
        for name, value in head.items():
            if not np.array_equal(saved.get(name, np.nan), value):
                raise RecordingError(f"{self.folder} holds a game with another {name}")
        for path in self.folder.glob("[0-9]*.npz"):
            if int(path.stem) > self.n_frames:
                path.unlink()
        whole = load_parts(self.folder)
        if whole.n_frames != self.n_frames:
            raise RecordingError(
                f"{self.folder} holds {whole.n_frames} frames, the game to go on with "
                f"{self.n_frames}"
            )
        self._tell({name: getattr(whole, name) for name in _GAME})

    def _empty(self) -> None:
        self._units: list[NDArray[np.unsignedinteger[Any]]] = []
        self._z: list[Array] = []
        self._h: list[Array] = []

    def record(self, z: Array, h: Array) -> None:
        """Append one frame.

        Parameters
        ----------
        z : ndarray, (M,)
            Presynaptic vector of the frame.
        h : ndarray, (N,)
            Output of the frame.
        """
        units = np.flatnonzero(z)
        self._units.append(units.astype(self._unit_type))
        self._z.append(z[units])
        self._h.append(h.copy())
        self.n_frames += 1
        if len(self._h) == _FRAMES_PER_PART:
            self.flush()

    def flush(self) -> None:
        """Write the frames that no part holds yet."""
        if self._h:
            part = {
                "h": np.array(self._h),
                "event_count": np.array([len(u) for u in self._units], dtype=np.int32),
                "event_unit": np.concatenate(self._units),
                "event_z": np.concatenate(self._z),
            }
            _write_part(self.folder / f"{self.n_frames:08d}.npz", **part)
            self._empty()
            self._tell(part)

    def _tell(self, part: Mapping[str, Any]) -> None:
        if self._then is not None:
            self._then(**part)

    def recording(self) -> Recording:
        """The game so far, read back from its parts."""
        self.flush()
        return load_parts(self.folder)

    def discard(self) -> None:
        """Remove the parts, once the ledger is written."""
        shutil.rmtree(self.folder)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.folder.exists():
            self.flush()


def load_parts(folder: Path) -> Recording:
    """Put a game together from its parts, finished or not.

    Raises
    ------
    RecordingError
        If a part is missing or damaged.
    """
    head = _read_part(folder / _PARAMETERS)
    paths = sorted(folder.glob("[0-9]*.npz"))
    parts = [_read_part(p) for p in paths]
    if not parts:
        raise RecordingError(f"{folder} holds no frame yet")
    try:
        ends = np.cumsum([len(part["event_count"]) for part in parts])
        for path, end in zip(paths, ends.tolist(), strict=True):
            if int(path.stem) != end:
                raise RecordingError(f"frames missing before {path.name}")
        joined = {name: np.concatenate([part[name] for part in parts]) for name in _GAME}
        return Recording(
            **{name: head[name] for name in ("weight", "decay", "gamma")},
            **joined,
            step_duration=float(head["step_second"]) * second,
            attributes=json.loads(str(head["attributes"])),
            limits=WriteLimits(*head["limits"].tolist()),
        )
    except (KeyError, ValueError) as error:
        raise RecordingError(f"{folder}: {error}") from error


def _write_part(path: Path, **arrays: Any) -> None:
    with replacing(path, durable=False) as partial:
        np.savez(partial, **arrays)


def _read_part(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise RecordingError(f"{path}: {error}") from error
