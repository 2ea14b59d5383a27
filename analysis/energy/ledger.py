"""The energy ledger of a game as one xarray Dataset, and its file.

It holds every frame, every synapse and every term, full traces of chosen synapses, and the
recorded game itself, from which all of it can be counted anew for another device, voltage
or step. Values are as of the end of the last frame; none waits for a synapse's next event.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from brian2.units import Quantity, joule, second, siemens, volt
from numpy.typing import NDArray

from mstpn.analysis.energy.energies import (
    TERMS,
    conductance_integral,
    frame_energies,
    provenance,
    synapse_energies,
    trace,
)
from mstpn.analysis.energy.integration import Integration
from mstpn.analysis.energy.policies import POLICIES
from mstpn.analysis.energy.recording import Recorder, Recording, RecordingError, load_parts
from mstpn.synapses.joules import mean_share
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.files import one_line, replacing
from mstpn.synapses.write_limits import WriteLimits

__all__ = ["frame_times", "ledger", "load_recording", "recorded", "save"]

Array = NDArray[np.float64]


def ledger(
    recording: Recording,
    device: Memristor,
    bias_voltage: Quantity,
    *,
    synapses: Sequence[tuple[int, int]] = (),
    attributes: Mapping[str, str] | None = None,
    integration: Integration | None = None,
) -> xr.Dataset:
    """Account for a whole game.

    Parameters
    ----------
    recording : Recording
    device : Memristor
    bias_voltage : Quantity, volt
        Charged on the synapses, a scalar or (M, N).
    synapses : sequence of (int, int)
        Presynaptic and postsynaptic unit of the synapses to trace. The one with the largest
        updates, S_max{dF}, comes first in any case: that of the largest sum of |dF|.
    attributes : mapping of str to str, optional
        Added to those of the recording, such as the name of the bias policy.
    integration : Integration, optional
        Of `integration_of`, where the game was integrated while it was played.

    Returns
    -------
    xarray.Dataset
        `frame_energy` (frame, term), `synapse_energy` (presynaptic, postsynaptic, term),
        traces W, F, dF and energies (trace, frame[, term]), and the recording itself. Units
        and provenance are in the attributes.

    Raises
    ------
    ValueError
        If a synapse does not exist.
    """
    voltage = np.broadcast_to(np.asarray(bias_voltage / volt), recording.weight.shape)
    if integration is None:
        integration = integration_of(recording, device, bias_voltage)
        integration.advance()
    sums = integration.sums()
    per_synapse = synapse_energies(sums, recording, device, voltage * volt)
    top = np.unravel_index(int(sums.updates.argmax()), sums.updates.shape)
    chosen = list(dict.fromkeys([(int(top[0]), int(top[1])), *synapses]))
    traces = [trace(recording, device, voltage * volt, *pair) for pair in chosen]
    step = float(recording.step_duration / second)
    origins = provenance(device)
    dataset = xr.Dataset(
        {
            "frame_energy": _variable(
                ("frame", "term"),
                frame_energies(integration.frame_sums(), recording, device, voltage),
                "J",
                "energy of all synapses in each frame",
                origins,
            ),
            "synapse_energy": _variable(
                ("presynaptic", "postsynaptic", "term"),
                np.stack([np.asarray(per_synapse[term] / joule) for term in TERMS], axis=-1),
                "J",
                "energy of each synapse over the game",
                origins,
            ),
            "conductance_integral": _variable(
                _SYNAPSE,
                np.asarray(conductance_integral(sums, recording, device) / (siemens * second)),
                "S s",
                "integral of G over the game: times V^2 it is the bias energy at any voltage",
                provenance(device, ["bias"]),
            ),
            "update_sum": _variable(
                _SYNAPSE, sums.updates, "1", "sum of |dF| over the game", "recorded"
            ),
            "frames_below_zero": _variable(
                _SYNAPSE,
                sums.below,
                "1",
                "frames that begin with G < 0, which the linear model lets happen",
                provenance(device, ["bias"]),
            ),
            "bias_voltage": _variable(
                _SYNAPSE,
                voltage,
                "V",
                "voltage that the bias energy is charged at",
                provenance(device, ["bias"]),
            ),
            **{
                f"trace_{name}": _variable(
                    ("trace", "frame", "term")[: 1 + traces[0][name].ndim],
                    np.stack([one[name] for one in traces]),
                    unit,
                    text,
                    origins if unit == "J" else "recorded",
                )
                for name, unit, text in _TRACES
            },
            **_recorded(recording),
        },
        coords={
            "term": list(TERMS),
            "time": ("frame", step * np.arange(recording.n_frames), {"units": "s"}),
            "trace_presynaptic": ("trace", [pair[0] for pair in chosen]),
            "trace_postsynaptic": ("trace", [pair[1] for pair in chosen]),
        },
    )
    game_attributes = {k: v for k, v in recording.attributes.items() if k not in _OWN}
    game_attributes |= {k: v for k, v in (attributes or {}).items() if k not in _OWN}
    dataset.attrs = {
        **recording.attributes,
        **(attributes or {}),
        "step_duration_s": step,
        **asdict(recording.limits),
        "device": device.name,
        "device_constants": _constants(device),
        "recording_attributes": ",".join(sorted(game_attributes)),
        "recording_sha256": recording.replace(attributes=game_attributes).digest(),
    }
    return dataset


def integration_of(recording: Recording, device: Memristor, bias_voltage: Quantity) -> Integration:
    """What `ledger` needs of a game, nothing of it integrated yet."""
    voltage = np.broadcast_to(np.asarray(bias_voltage / volt), recording.weight.shape)
    weight = voltage**2 * mean_share(recording.decay)
    floor = -recording.weight - float(device.offset_conductance / device.weight_conductance)
    return Integration(recording, device.energy_exponent, weight, floor)


_SYNAPSE = ("presynaptic", "postsynaptic")
_TRACES = (
    ("W", "1", "long-term weight"),
    ("F", "1", "short-term weight at the start of the frame, after its pulse"),
    ("dF", "1", "update by the pulse that arrives in the frame"),
    ("energy", "J", "energy of the synapse in the frame"),
)


def _variable(
    dims: tuple[str, ...], values: Array, units: str, long_name: str, provenance: str
) -> xr.Variable:
    return xr.Variable(
        dims, values, {"units": units, "long_name": long_name, "provenance": provenance}
    )


def _recorded(recording: Recording) -> dict[str, xr.Variable]:
    rows = {
        "weight": (_SYNAPSE, "long-term weight W"),
        "decay": (_SYNAPSE, "Lambda per step"),
        "gamma": (_SYNAPSE, "short-term learning rate Gamma"),
        "h": (("frame", "postsynaptic"), "output"),
        "event_count": (("frame",), "events (z != 0) of each frame"),
        "event_unit": (("event",), "presynaptic unit of each event, frame after frame"),
        "event_z": (("event",), "z of each event"),
    }
    return {
        name: _variable(dims, getattr(recording, name), "1", text, "recorded")
        for name, (dims, text) in rows.items()
    }


def _constants(device: Memristor) -> str:
    return json.dumps(
        {
            name: {
                "value": str(getattr(device, name)),
                "provenance": constant.provenance,
                "source": constant.source,
            }
            for name, constant in device.constants.items()
        }
    )


@contextmanager
def recorded(
    path: Path,
    device: Memristor,
    *,
    parameters: Mapping[str, Any],
    step_duration: Quantity,
    attributes: Mapping[str, str],
    bias: str = "trained",
    resume_at: int | None = None,
) -> Iterator[Recorder]:
    """Record a game as it goes and write its ledger when the block ends well.

    It is integrated while it is played, so that little is left to do then. If the block does not
    end well, the parts recorded so far stay where `parts_folder(path)` says and can be
    loaded like a ledger.

    Parameters
    ----------
    path : Path
    device : Memristor
    parameters : mapping
        `weight`, `decay`, `gamma` of the network, (M, N), and its `limits`.
    step_duration : Quantity, second
    attributes : mapping of str to str
    bias : {"trained", "worst case"}
        In `mstpn.analysis.energy.policies.POLICIES`.
    resume_at : int, optional
        As for `Recorder`.

    Yields
    ------
    Recorder
    """
    start = Recording.of_no_frame(**parameters, step_duration=step_duration)
    voltage = POLICIES[bias](start, device).bias_voltage
    integration = integration_of(start, device, voltage)
    with Recorder(
        path,
        **parameters,
        step_duration=step_duration,
        attributes=attributes,
        resume_at=resume_at,
        then=integration.add,
    ) as recorder:
        yield recorder
        game = recorder.recording()
        of_bias = {"bias": bias}
        save(ledger(game, device, voltage, attributes=of_bias, integration=integration), path)
        recorder.discard()


def frame_times(dataset: xr.Dataset) -> Array:
    """Ends of the frames, second, (T,): the times that running sums of the frames refer to."""
    return dataset.time.values + dataset.attrs["step_duration_s"]


def save(dataset: xr.Dataset, path: Path) -> None:
    """Write a ledger as netCDF, beside `path` first.

    Raises
    ------
    OSError
        If it cannot be written, as on a full disk.
    """
    with replacing(path) as partial:
        try:
            dataset.to_netcdf(partial, engine="netcdf4")
        except RuntimeError as error:  # how netCDF4 tells of a disk that takes no more
            raise OSError(f"ledger {path} cannot be written: {one_line(error)}") from error


def load_recording(path: Path) -> Recording:
    """The game in a ledger file, or in the parts folder of one that was not finished.

    Raises
    ------
    RecordingError
        If there is none, or it is damaged; the message names the file.
    """
    if path.is_dir():
        return load_parts(path)
    if not path.exists():
        raise RecordingError(f"ledger {path}: no such file")
    try:
        with xr.open_dataset(path, engine="netcdf4") as dataset:
            dataset.load()
        recording = Recording(
            **{name: dataset[name].values for name in _RECORDED},
            step_duration=dataset.attrs["step_duration_s"] * second,
            limits=WriteLimits(**{name: float(dataset.attrs[name]) for name in _LIMITS}),
            attributes={k: v for k, v in dataset.attrs.items() if k in _attribute_names(dataset)},
        )
        if recording.digest() != dataset.attrs["recording_sha256"]:
            raise RecordingError("damaged: the recording's checksum differs")
    except _DAMAGE as error:
        raise RecordingError(f"ledger {path}: {one_line(error)}") from error
    return recording


def _attribute_names(dataset: xr.Dataset) -> set[str]:
    """Names of the recording's attributes: what other tools add is theirs."""
    named = dataset.attrs.get("recording_attributes")
    return set(dataset.attrs) - set(_OWN) if named is None else set(str(named).split(",")) - {""}


_DAMAGE = (
    *(OSError, KeyError, ValueError, TypeError, AttributeError, OverflowError),
    *(IndexError, RuntimeError, MemoryError),  # netCDF4 says RuntimeError
)
_LIMITS = tuple(f.name for f in fields(WriteLimits))
_OWN = (
    *("step_duration_s", "bias", "device", "device_constants"),
    *("recording_sha256", "recording_attributes"),
    *_LIMITS,
)
_RECORDED = ("weight", "decay", "gamma", "h", "event_count", "event_unit", "event_z")
