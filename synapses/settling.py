"""Synapses whose variables may be assigned at any time: what is due is settled first.

The event-driven synapse computes F and its energies from what they were at the last event and
what has been held since. Who assigns a voltage or a weight ends that, so the closed forms are
taken up to now before the value changes, and what depends on it is computed anew. Assignments
are Brian2's own: ``synapses.W = 0.5``, ``synapses.V_bias[3:5] = 0.2*volt``, strings,
`set_states`, and code of `run_regularly`.
"""

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from brian2 import Quantity, Synapses, get_device
from brian2.core.variables import DynamicArrayVariable, VariableView
from brian2.devices.device import RuntimeDevice
from brian2.utils.stringtools import get_identifiers

__all__ = ["TERMS", "Guard", "SettlingSynapses"]

TERMS = ("pulse", "bias", "read")
"""Of the energies."""

Assignments = Sequence[tuple[str, str]]
"""Names and expressions, one after the other."""


class Guard(NamedTuple):
    """What an assignment to a variable brings with it.

    Parameters
    ----------
    check : callable
        Given the new values, with their unit; raises ValueError.
    follow : sequence of (str, str)
        What is computed anew afterwards.
    """

    check: Callable[[Any], None]
    follow: Assignments = ()

    def names(self, name: str) -> bool:
        """Whether something is computed anew from a variable."""
        return any(name in get_identifiers(expression) for _, expression in self.follow)


class SettlingSynapses(Synapses):  # type: ignore[misc]
    """Brian2's synapses, whose guarded variables are settled before they change.

    Parameters
    ----------
    *arguments, **options
        Of `brian2.Synapses`.
    settle : sequence of (str, str)
        Brings everything up to now; none for synapses that are integrated step by step.
    start : sequence of str
        Times that begin with the first run.
    guards : mapping of str to Guard
        By variable.
    initial : mapping of str to Quantity
        Of new synapses.
    """

    _quiet = False
    user_equations: Any = None
    """The equations that it was made of, event-driven lines and all."""
    _started = False
    _time: float | None = None
    _followed = False
    _step: float | None = None
    _n_initialised = 0
    memristor: Any = None
    """The device, set by who makes the synapses."""
    n_assignments = 0
    """To guarded variables so far: who keeps what follows from them takes it anew."""
    connected_all_to_all = False
    """Whether the one call of `connect` was the plain one."""
    same_along_rows: frozenset[str] = frozenset()
    """What `mstpn.synapses.rows` may read of the first synapse of a row for all of them."""

    def __init__(
        self,
        *arguments: Any,
        settle: Assignments,
        start: Sequence[str],
        guards: Mapping[str, Guard],
        initial: Mapping[str, Quantity],
        **options: Any,
    ) -> None:
        self._settle, self._start = tuple(settle), tuple(start)
        self._guards, self._initial = dict(guards), dict(initial)
        super().__init__(*arguments, **options)
        self.user_equations = arguments[2]
        self._step = float(self.clock.dt)
        for name in self._guards:
            self.variables[name].__class__ = _GuardedVariable

    def connect(self, *arguments: Any, level: int = 0, **options: Any) -> None:
        """As in Brian2; new synapses begin with F = 0 at the device's smallest bias voltage.

        Raises
        ------
        ValueError
            If it is called a second time for C++ standalone, which knows no synapses before it
            runs.
        """
        first = not self._connect_called
        if not (first or _at_runtime()):
            raise ValueError(f"{self.name} can be connected once only in C++ standalone")
        super().connect(*arguments, level=level + 1, **options)
        self.connected_all_to_all = first and not (arguments or options)
        with self._quietly():
            for name, value in self._initial.items():
                if first:
                    setattr(self, name, value)
                else:
                    self.variables[name].get_value()[self._n_initialised :] = float(value)
        if _at_runtime():
            self._n_initialised = len(self)
        self.follow(*(name for name in self._initial if name in self._guards))

    def connect_as(self, how: bool | str | Mapping[str, Any]) -> None:
        """Connect all to all, by a condition, by options of `connect`, or, if False, not yet."""
        if how is True:
            self.connect()
        elif how is not False:
            self.connect(**({"condition": how} if isinstance(how, str) else how))

    def energy(self) -> dict[str, Quantity]:
        """Energy of all of them so far, by term: pulse, bias, read; exact at any time."""
        return {term: np.sum(getattr(self, f"E_{term}")[:]) for term in TERMS}

    def _repr_html_(self) -> str:
        n, device = len(self), getattr(self.memristor, "name", "no device")
        parts = [
            f"<b>{self.name}</b>: {n:,} synapses from <code>{self.source.name}</code> onto "
            f"<code>{self.target.name}</code>, {html.escape(device)}",
            f"<pre>{html.escape(str(self.user_equations))}</pre>",
        ]
        for pathway in self._pathways:
            parts.append(f"<p>at {pathway.prepost} <code>{pathway.event}</code>:</p>")
            parts.append(f"<pre>{html.escape(pathway.code)}</pre>")
        spent = self.energy().items() if n else ()
        parts += [f"{term} {energy}<br>" for term, energy in spent]
        return "".join(parts)

    def settle(self) -> None:
        """Bring F and the energies up to now.

        Raises
        ------
        ValueError
            If the clock shows the time of another network.
        """
        if not self._started:
            return  # nothing has been held yet
        if self._time is not None and self._time != self._now():
            raise ValueError(
                f"the clock of {self.name} shows {1e3 * self._now():g} ms, but it has run until "
                f"{1e3 * self._time:g} ms: another network moved it, give each a clock of its own"
            )
        with self._quietly():
            for name, expression in self._settle:
                setattr(self, name, expression)

    def follow(self, *names: str) -> None:
        """Compute anew what depends on some guarded variables."""
        self.n_assignments += 1
        with self._quietly():
            for name in names:
                for target, expression in self._guards[name].follow:
                    setattr(self, target, expression)

    def check(self, name: str, values: Any) -> None:
        """Raise ValueError if these are no values of a guarded variable."""
        self._guards[name].check(values)

    @contextmanager
    def assigning(self, *names: str) -> Iterator[None]:
        """Settle, let variables be assigned, and compute anew what depends on them."""
        self.settle()
        with self._quietly():
            yield
        self.follow(*names)

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def step_outside(self) -> None:
        """Say that the clock is moved by who steps the network, not by its `run`."""
        self._followed, self._time = True, None

    def _now(self) -> float:
        return float(self.clock.variables["t"].get_value()[0])

    def before_run(self, run_namespace: Any) -> None:
        """Times begin with the first run; what depends on the time step follows it."""
        if not self._started:
            self._started = True
            if _at_runtime():
                for name in self._start:
                    self.variables[name].get_value()[:] = self._now()
        self._time = None
        self._follow_step()
        super().before_run(run_namespace)

    def _follow_step(self) -> None:
        before, self._step = self._step, float(self.clock.dt)
        if before not in (None, self._step):
            self.follow(*(name for name, guard in self._guards.items() if guard.names("dt")))

    def after_run(self) -> None:
        """Remember when the run ended."""
        super().after_run()
        if _at_runtime() and not self._followed:
            self._time = self._now()

    def _full_state(self) -> Any:
        state = super()._full_state()
        state["_settling"] = (self._started, self._time)
        return state

    def _restore_from_full_state(self, state: Any) -> None:
        state = dict(state)
        self._started, self._time = state.pop("_settling")
        super()._restore_from_full_state(state)

    def run_regularly(self, code: str, *arguments: Any, **options: Any) -> Any:
        """As in Brian2; code that changes a guarded variable settles first and follows it.

        Values outside the device's range are not refused here, since the code runs on its own.
        """
        changed = [name for name in self._guards if _assigns(code, name)]
        if changed:
            lines = [f"{name} = {expression}" for name, expression in self._settle]
            lines += code.strip().splitlines()
            for name in changed:
                lines += [f"{target} = {value}" for target, value in self._guards[name].follow]
            code = "\n".join(lines)
        return super().run_regularly(code, *arguments, **options)


class _GuardedVariable(DynamicArrayVariable):  # type: ignore[misc]
    def get_addressable_value(self, name: str, group: Any) -> VariableView:
        return _GuardedView(name=name, variable=self, group=group, dimensions=None)

    def get_addressable_value_with_unit(self, name: str, group: Any) -> VariableView:
        return _GuardedView(name=name, variable=self, group=group, dimensions=self.dim)


class _GuardedView(VariableView):  # type: ignore[misc]
    def set_item(self, item: Any, value: Any, level: int = 0, namespace: Any = None) -> None:
        synapses, name = self.variable.owner, self.variable.name
        if synapses._quiet:
            super().set_item(item, value, level=level + 1, namespace=namespace)
            return
        if not isinstance(value, str):
            with_unit = value if self.dim is not None else Quantity(value, dim=self.variable.dim)
            synapses.check(name, with_unit)
        before = self.variable.get_value().copy() if _at_runtime() else None
        synapses.settle()
        with synapses._quietly():
            super().set_item(item, value, level=level + 1, namespace=namespace)
        if before is not None and isinstance(value, str):
            after = self.variable.get_value()
            try:
                synapses.check(name, Quantity(after.copy(), dim=self.variable.dim))
            except ValueError:
                after[:] = before
                raise
        synapses.follow(name)


def _at_runtime() -> bool:
    return isinstance(get_device(), RuntimeDevice)


def _assigns(code: str, name: str) -> bool:
    for line in re.split(r"[\n;]", code):
        target, sign, rest = line.partition("=")
        if sign and not rest.startswith("=") and get_identifiers(target.rstrip(" +-*/")) == {name}:
            return True
    return False
