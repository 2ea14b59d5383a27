"""A watched game as one page that needs no server and nothing from elsewhere.

What is recorded at every decision: the emulator's picture (in its own colours), action, score and
the share of the step that writes take (exact), h (127 levels on either side of 0) and, of the
synapses with the largest |Gamma|, F (15 bits and sign) and what pulses added to it (127 levels).
Of all synapses F, pulses and energy are pictures (15 levels on either side of 0, by the square
root; 10 levels a decade), from time to time: no more than `MOST_PICTURES` whatever the length, and
a quarter of that of energy.
Joules are exact, every `mstpn.bridge.watch.live.ENERGY_EVERY` decisions and at the end.

All of it is one gzip stream in base64, which the page's own script unpacks.
"""

import base64
import gzip
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstpn.bridge.watch.live import ENERGY_EVERY
from mstpn.bridge.watch.moment import LEVELS, energy_bytes, signed_bytes
from mstpn.bridge.watch.server import page
from mstpn.bridge.watch.session import Session
from mstpn.synapses.support.files import atomic_write

__all__ = ["MOST_PICTURES", "Recording"]

MOST_PICTURES = 60
"""Of all synapses; where there would be more, every second one is left out."""
_ENERGY_PICTURES = 4
"""Pictures from one of energies to the next."""
_SYNAPSES = 256
_LEVELS, _DECADE = 15, 10
_F_LEVELS = 2**15 - 1
_MARKER = "<!-- recording -->"
_ABOUT = (
    "A recorded game of seed {seed}; agent {checkpoint}, device {device}. Joules, actions and "
    "score are exact; h has 127 levels on either side of 0; F and ΔF of the {n} synapses with the "
    "largest Γ, of which a click takes the nearest, have 32,767 and 127; pictures of all synapses, "
    "every {every} decisions, have 15; those of energy, every {energy_every}, have 10 a decade."
)


class Recording:
    """Collects one game of a session, from its first decision on.

    Parameters
    ----------
    session : Session
    gpu : mapping of str to float
        As for `mstpn.bridge.watch.live.Live`.
    """

    def __init__(self, session: Session, gpu: Mapping[str, float]) -> None:
        self._session, self._gpu = session, dict(gpu)
        network = session.agent.network
        gamma, held = network.of_synapses("Gamma").ravel(), session.settings.hold
        self._start = {"hold": held, "plastic": session.settings.plastic}
        self._tracked = np.argsort(-np.abs(gamma), kind="stable")[:_SYNAPSES]
        self._values = {"Gamma": gamma, "volt": network.of_synapses("V_bias").ravel()}
        self._values["W"] = network.of_synapses("W").ravel()
        self._log_before = len(session.log)
        self._every = ENERGY_EVERY
        self._each: dict[str, list[Any]] = {
            name: [] for name in ("screen", "action", "score", "write_share", "h", "F", "dF")
        }
        self._energy: dict[int, tuple[float, ...]] = {}
        self._pictures: dict[int, tuple[NDArray[np.float32], ...]] = {}

    def take(self) -> None:
        """Record the session's last decision."""
        session, frame = self._session, self._session.frame
        if frame is None:
            return
        tracked = self._tracked
        for name, value in {
            "screen": session.screen.copy(),
            "action": frame.action,
            "score": frame.score,
            "write_share": session.write_share,
            "h": frame.h.copy(),
            "F": session.field("F").ravel()[tracked],
            "dF": session.updates.ravel()[tracked],
        }.items():
            self._each[name].append(value)
        n = frame.decisions
        if n == 1 or n % ENERGY_EVERY == 0 or frame.done:
            self._sum_up()
        if n % self._every == 0:
            self._picture()
            self._thin_out()

    def save(self, path: Path) -> None:
        """Write the page.

        Raises
        ------
        ValueError
            If no decision was recorded.
        """
        if not self._each["score"]:
            raise ValueError("there is no decision to record")
        self._sum_up()
        if not self._pictures:
            self._picture()
        html = page()
        packed = base64.b64encode(gzip.compress(self._content(), 9, mtime=0)).decode()
        data = f'<script type="application/octet-stream" id="recording">{packed}</script>'
        before, _, after = html.partition(_MARKER)
        atomic_write(path, (before + data + after).encode())

    def _sum_up(self) -> None:
        spent = self._session.energy()
        n = len(self._each["score"])
        self._energy[n] = tuple(spent[term] for term in ("pulse", "bias", "read"))

    def _picture(self) -> None:
        fields = (self._session.field(name).ravel() for name in ("F", "dF", "energy"))
        taken = tuple(field.astype(np.float32) for field in fields)
        self._pictures[len(self._each["score"])] = taken

    def _thin_out(self) -> None:
        if len(self._pictures) > MOST_PICTURES:
            self._every *= 2
            self._pictures = {n: p for n, p in self._pictures.items() if n % self._every == 0}

    def _content(self) -> bytes:
        arrays, scale = self._arrays()
        session, network = self._session, self._session.agent.network
        listed, offset = {}, 0
        for name, array in arrays.items():
            listed[name] = {"type": array.dtype.str[1:], "size": array.size, "offset": offset}
            offset += -(-array.nbytes // 8) * 8
        about = session.settings.to_json() | {
            "n": len(self._tracked),
            "every": self._every,
            "energy_every": self._every * _ENERGY_PICTURES,
        }
        meta = self._start | {
            "shape": session.updates.shape,
            "features": network.parameters.n_features,
            "done": session.game.done,
            "log": [asdict(change) for change in session.log[self._log_before :]],
            "gpu": [[name, joule] for name, joule in self._gpu.items()],
            "scale": scale,
            "levels": {"F": _LEVELS, "dF": _LEVELS, "W": LEVELS, "energy": _DECADE},
            "about": _ABOUT.format(**about),
        }
        text = json.dumps(meta | {"arrays": listed}, allow_nan=False).encode()
        text += b" " * (-(4 + len(text)) % 8)  # arrays begin at multiples of their size
        parts = [struct.pack("<I", len(text)), text]
        for array in arrays.values():
            parts += [array.tobytes(), bytes(-array.nbytes % 8)]
        return b"".join(parts)

    def _arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
        """All arrays, little-endian, and the scales of those that are quantised."""
        each = {name: np.array(values) for name, values in self._each.items()}
        pictures = list(self._pictures.values())
        f, df, energy = (np.array([p[k] for p in pictures]) for k in range(3))
        w = self._values["W"]
        scale = {"F": top(f), "dF": top(df), "W": top(w), "energy": top(energy)}
        scale |= {"tracked_F": top(each["F"]) / _F_LEVELS, "tracked_dF": top(each["dF"]) / LEVELS}
        colours, screen = palette(each["screen"])
        energies = energy_bytes(energy[::_ENERGY_PICTURES], scale["energy"], _DECADE)
        decisions = np.array(list(self._pictures), "<i4")
        arrays = {
            "score": each["score"].astype("<f8"),
            "write_share": each["write_share"].astype("<f8"),
            "energy": np.array(list(self._energy.values()), "<f8"),
            "energy_decision": np.array(list(self._energy), "<i4"),
            "picture_decision": decisions,
            "energy_picture_decision": decisions[::_ENERGY_PICTURES],
            "tracked": self._tracked.astype("<i4"),
            **{f"tracked_{k}": v[self._tracked].astype("<f8") for k, v in self._values.items()},
            "tracked_F": steps(each["F"].T, scale["tracked_F"]).astype("<i2"),
            "tracked_dF": steps(each["dF"].T, scale["tracked_dF"]).astype("i1"),
            "h": steps(each["h"], 1 / LEVELS).astype("i1"),
            "action": each["action"].astype("u1"),
            "palette": colours,
            "screen": differences(screen),
            "W": signed_bytes(w, scale["W"]),
            "F": signed_bytes(f, scale["F"], _LEVELS),
            "dF": signed_bytes(df, scale["dF"], _LEVELS),
            "energy_picture": differences(energies),
        }
        return arrays, scale


def top(values: NDArray[Any]) -> float:
    """Largest magnitude, 1 where all is 0."""
    return float(np.abs(values).max()) or 1.0


def steps(values: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    """Nearest numbers of steps of this size."""
    return np.rint(values / size)


def differences(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each less the one before, modulo 256; the first stays."""
    return np.diff(pictures, axis=0, prepend=np.zeros_like(pictures[:1]))


def palette(screens: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Colours, (n, 3), and pictures of their numbers; the emulator has 128."""
    codes = screens.astype(np.uint32) @ np.array([1, 256, 65536], np.uint32)
    different, numbers = np.unique(codes, return_inverse=True)
    if len(different) > 256:
        raise ValueError(f"pictures must have at most 256 colours, got {len(different)}")
    colours = np.stack([different >> shift & 255 for shift in (0, 8, 16)], axis=1)
    return colours.astype(np.uint8), numbers.reshape(codes.shape).astype(np.uint8)
