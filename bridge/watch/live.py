"""Plays a session at the pace of the game, and takes orders from those who watch."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from mstpn.bridge.watch.moment import (
    DECADE,
    LEVELS,
    energy_bytes,
    message,
    moment,
    signed_bytes,
    synapse,
)
from mstpn.bridge.watch.session import FIELDS, Session
from mstpn.bridge.watch.settings import among, number, truth, whole
from mstpn.network.frames import STEP_DURATION

__all__ = ["ENERGY_EVERY", "Live", "PageView", "Viewer"]

ENERGY_EVERY = 5
"""Decisions from one sum of all joules to the next; one takes longer than a decision."""
_LARGEST_SPEED = 64.0
_LONGEST_STEP = 1000
_HEARTBEAT_S = 1.0
_LAST_SEEN = 15


class Viewer(Protocol):
    """Who is shown every moment, in the thread that plays."""

    def show(self, live: "Live", header: Mapping[str, Any]) -> None:
        """Look at a moment; the numbers are in the header, the rest at `live.session`."""


class Live:
    """Plays a session in the thread that calls `run`; everything else may be called from others.

    Parameters
    ----------
    session : Session
    gpu : mapping of str to float
        Joule that GPUs spend per synapse and step, by name.
    planned : mapping of int to dict
        Changes by the decision of the first game before which they are made.
    """

    def __init__(
        self,
        session: Session,
        *,
        gpu: Mapping[str, float] | None = None,
        planned: Mapping[int, dict[str, Any]] | None = None,
    ) -> None:
        self.session, self.gpu = session, dict(gpu or {})
        self._planned = dict(planned or {})
        self._orders: deque[dict[str, Any]] = deque()
        self._called = threading.Condition()
        self._viewers: list[Viewer] = []
        self._paused, self._steps, self._speed = False, 0, 1.0
        self._stopped = False
        self._energy: dict[str, Any] = {}
        self._scale: dict[str, float] = {}
        self._times: deque[float] = deque(maxlen=_LAST_SEEN)

    def order(self, changes: Mapping[str, Any]) -> None:
        """Ask for changes before the next decision.

        Parameters
        ----------
        changes : mapping
            By the names of `Settings`, or `paused`, `speed` (times real time), `step` (so many
            decisions, paused).

        Raises
        ------
        ValueError
            If one is refused; none is made then.
        """
        pace = {"paused": truth, "speed": number(1 / 16, _LARGEST_SPEED)}
        pace["step"] = whole(1, _LONGEST_STEP)
        settings = {k: v for k, v in changes.items() if k not in pace}
        for name in changes.keys() & pace.keys():
            pace[name](name, changes[name])
        self.session.choices.changed(self.session.settings, settings)
        with self._called:
            self._orders.append(dict(changes))
            self._called.notify_all()

    def add(self, viewer: Viewer) -> None:
        """Show every moment to a viewer from now on."""
        with self._called:
            self._viewers.append(viewer)
            self._orders.append({})
            self._called.notify_all()

    def remove(self, viewer: Viewer) -> None:
        """Show it no more."""
        with self._called:
            if viewer in self._viewers:
                self._viewers.remove(viewer)

    @property
    def n_viewers(self) -> int:
        """How many there are."""
        return len(self._viewers)

    def stop(self) -> None:
        """Let `run` return."""
        with self._called:
            self._stopped = True
            self._called.notify_all()

    def run(self, n_decisions: int | None = None) -> None:
        """Play until stopped, one game after the other, with the seed one more for each.

        Parameters
        ----------
        n_decisions : int, optional
            Stop after so many.
        """
        due = time.monotonic()
        made = 0
        while not self._stopped and (n_decisions is None or made < n_decisions):
            waiting = self._paused and not self._steps
            until = time.monotonic() + _HEARTBEAT_S if waiting else due
            for order in self._taken(until):
                self._obey(order)
            if self._stopped:
                break
            if not (self._paused and not self._steps) and time.monotonic() >= due:
                self._decide()
                made += 1
                period = float(STEP_DURATION) / self._speed
                due = max(due + period, time.monotonic() - period)
            self._publish()

    def _taken(self, until: float) -> list[dict[str, Any]]:
        """Orders, as soon as there is one; none once it is that late."""
        with self._called:
            self._called.wait_for(
                lambda: self._orders or self._stopped, max(until - time.monotonic(), 0)
            )
            taken = list(self._orders)
            self._orders.clear()
        return taken

    def _obey(self, order: Mapping[str, Any]) -> None:
        pace = {"paused", "speed", "step"}
        self._paused = order.get("paused", self._paused or "step" in order)
        self._speed = float(order.get("speed", self._speed))
        self._steps = order.get("step", 0 if not self._paused else self._steps)
        changes = {k: v for k, v in order.items() if k not in pace}
        if changes:
            self._change(changes)

    def _change(self, changes: Mapping[str, Any]) -> None:
        self._publish(busy=True)
        self.session.try_change(changes)
        self._energy = {}
        self._scale.clear()
        self._times.clear()

    def _decide(self) -> None:
        session = self.session
        if session.game.done:
            self._planned.clear()
            self._change({"seed": (session.settings.seed + 1) % 2**31})
        if planned := self._planned.pop(session.game.decisions, None):
            self._change(planned)
        session.step()
        self._steps = max(self._steps - 1, 0)
        self._times.append(time.monotonic())

    def _publish(self, *, busy: bool = False) -> None:
        with self._called:
            viewers = list(self._viewers)
        if not viewers:
            return
        header = moment(self.session, energy=False) | self._spent() | self._pace() | {"busy": busy}
        for viewer in viewers:
            viewer.show(self, header)

    def _spent(self) -> dict[str, Any]:
        """Energies, those of some decisions ago if that is not long."""
        game = self.session.game
        age = game.decisions - self._energy.get("energy_decision", -ENERGY_EVERY)
        if not self._energy or age >= ENERGY_EVERY or (age and (self._paused or game.done)):
            n_synapses = self.session.updates.size
            updates = n_synapses * game.decisions
            self._energy = {
                "energy": self.session.energy(),
                "energy_decision": game.decisions,
                "gpu": [[name, joule * updates] for name, joule in self.gpu.items()],
            }
        return self._energy

    def _pace(self) -> dict[str, Any]:
        times = self._times
        rate = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0
        measured = rate * float(STEP_DURATION)
        return {"paused": self._paused, "speed": self._speed, "measured_speed": measured}

    def picture(self, name: str) -> tuple[Any, dict[str, Any]]:
        """Bytes of a field of all synapses, (M, N), and what they mean."""
        values = self.session.field(name)
        largest = float(np.abs(values).max())
        scale = self._scale[name] = max(largest, self._scale.get(name, 0.0))
        if name == "energy":
            return energy_bytes(values, scale), {"scale": scale, "levels": DECADE}
        return signed_bytes(values, scale), {"scale": scale, "levels": LEVELS}


class PageView:
    """The moments that one page is shown; one that it is too slow for is replaced by the next.

    Parameters
    ----------
    field : str
        One of `FIELDS`.
    synapse : int, optional
        The one shown in time, as for `mstpn.bridge.watch.moment.synapse`.

    Raises
    ------
    ValueError
        If there is no such field.
    """

    def __init__(self, field: str = FIELDS[0], synapse: int | None = None) -> None:
        self.field, self.synapse = among(FIELDS)("field", field), synapse
        self._next: bytes | None = None
        self._arrived = threading.Condition()

    def show(self, live: Live, header: Mapping[str, Any]) -> None:
        """Keep a moment for the page."""
        picture, meaning = live.picture(self.field)
        own = {"field": self.field, "picture": meaning}
        chosen = synapse(live.session, self.synapse)
        content = message({**header, **own, "synapse": chosen}, live.session.screen, picture)
        with self._arrived:
            self._next = content
            self._arrived.notify_all()

    def messages(self, alive: Callable[[], bool]) -> Iterator[bytes]:
        """Each moment once, as soon as it is there."""
        while alive():
            with self._arrived:
                self._arrived.wait_for(lambda: self._next is not None, _HEARTBEAT_S)
                content, self._next = self._next, None
            if content is not None:
                yield content
