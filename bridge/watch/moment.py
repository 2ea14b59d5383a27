"""What one moment of a game looks like, in numbers and bytes.

A synapse's value x of a picture is one byte, ``128 + round(L sign(x) sqrt(|x| / scale))`` with L
levels on either side, so that small values are seen beside large ones; energies are
``round(D log10(x / scale)) + 255`` with D levels a decade, 0 for none. All numbers beside pictures
are exact: JSON holds what Python's `repr` says of a float, which reads back to the same bits.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstpn.bridge.watch.session import Session

__all__ = ["DECADE", "LEVELS", "energy_bytes", "message", "moment", "signed_bytes", "synapse"]

LEVELS = 127
"""Of a live picture, on either side of 0."""
DECADE = 40
"""Levels of energy in a live picture, a decade."""
_LOG_SHOWN = 50


def signed_bytes(values: NDArray[Any], scale: float, levels: int = LEVELS) -> NDArray[np.uint8]:
    """Values of both signs as bytes around 128, by their square root.

    Parameters
    ----------
    values : ndarray
    scale : float
        Largest magnitude; larger ones are shown as it.
    levels : int
        On either side of 0.
    """
    share = np.minimum(np.abs(values) / (scale or 1.0), 1)
    steps = np.rint(np.copysign(levels * np.sqrt(share), values))
    return (128 + steps).astype(np.uint8)


def energy_bytes(values: NDArray[Any], scale: float, decade: int = DECADE) -> NDArray[np.uint8]:
    """Energies as bytes, by their logarithm.

    Parameters
    ----------
    values : ndarray
        Not negative.
    scale : float
        Largest; larger ones are shown as it.
    decade : int
        Levels for a factor of ten.
    """
    with np.errstate(divide="ignore"):
        steps = np.rint(decade * np.log10(np.asarray(values) / (scale or 1.0)))
    return (255 + np.clip(steps, -255, 0)).astype(np.uint8)


def synapse(session: Session, number: int | None = None) -> dict[str, Any]:
    """One synapse now.

    Parameters
    ----------
    session : Session
    number : int, optional
        ``i_pre * N + j_post``; the one that learns fastest if absent, or if there is no such one.

    Returns
    -------
    dict
        `number`, `i`, `j`; `W`, `Gamma`, `F`, `dF`, dimensionless; `volt`, its bias.
    """
    network = session.agent.network
    values = {name: network.view_of_synapses(name) for name in ("W", "Gamma", "V_bias")}
    if number is None or number >= values["W"].size:
        number = session.fastest
    at = np.unravel_index(number, values["W"].shape)
    state: dict[str, Any] = {"number": number, "i": int(at[0]), "j": int(at[1])}
    state |= {name: float(value[at]) for name, value in values.items()}
    state["volt"] = state.pop("V_bias")
    return state | {name: float(session.field(name)[at]) for name in ("F", "dF")}


def moment(session: Session, *, energy: bool = True) -> dict[str, Any]:
    """All numbers of a game now.

    Parameters
    ----------
    session : Session
    energy : bool
        With joules, which take longer than all else.
    """
    game, network, frame = session.game, session.agent.network, session.frame
    m, n = network.view_of_synapses("W").shape
    device = network.device
    numbers = {
        "game": session.n_games,
        "decision": game.decisions,
        "score": game.score,
        "done": game.done,
        "action": None if frame is None else frame.action,
        "h": session.agent.h.tolist(),
        "write_share": session.write_share,
        "shape": [m, n],
        "features": network.parameters.n_features,
        "settings": session.settings.to_json(),
        "choices": session.choices.names,
        "volts": [float(device.bias_voltage_min), float(device.bias_voltage_max)],
        "log": [asdict(change) for change in session.log[-_LOG_SHOWN:]],
    }
    return numbers | ({"energy": session.energy()} if energy else {})


def message(
    header: Mapping[str, Any], screen: NDArray[np.uint8], picture: NDArray[np.uint8]
) -> bytes:
    """A moment on its way to a page: two lengths, JSON, the emulator's picture, the synapses'."""
    text = json.dumps(header, allow_nan=False).encode()
    body = text + screen.tobytes() + picture.tobytes()
    return struct.pack("<II", len(body), len(text)) + body
