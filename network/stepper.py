"""Brian2 networks that are advanced from outside, step by step, at the cost of their objects.

`Network.run` collects garbage and prepares every object, 0.1 to 0.7 s a call however short the
run: too slow where a program, an environment or a robot is asked between two steps. A `Stepper`
prepares once and then does what the loop of `run` does, with the same results to the last bit::

    stepper = Stepper(network)
    observation, _ = environment.reset()
    while True:
        inputs.rates = rates_of(observation) * Hz
        stepper.step(20 * ms)
        observation, *_ = environment.step(action_of(neurons.v))

Source: the loop is that of `brian2.core.network.Network.run` (Brian2 2.9).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from brian2 import BrianObject, Clock, Network, get_device
from brian2.core.namespace import get_local_namespace
from brian2.devices.device import RuntimeDevice
from brian2.units import Quantity, second

from mstpn.synapses.settling import SettlingSynapses

__all__ = ["Stepper", "calls_of", "is_plain"]

Calls = Sequence[Callable[[], Any]]


class Stepper:
    """Advances a network.

    The network may be changed and run between steps, and `store` and `restore` work as ever;
    objects that are added are prepared at the next step.

    Parameters
    ----------
    network : Network
    namespace : mapping, optional
        External names of its equations; those where the stepper is made, if absent.

    Raises
    ------
    ValueError
        If Brian2 is set to a standalone device, which runs nothing until it is built.
    """

    def __init__(self, network: Network, namespace: Mapping[str, Any] | None = None) -> None:
        if not isinstance(get_device(), RuntimeDevice):
            raise ValueError("stepping needs Brian2's runtime device, not a standalone one")
        self.network, self._instead = network, dict[BrianObject, Calls]()
        self._namespace = get_local_namespace(level=1) if namespace is None else dict(namespace)
        self._watch_restore()
        self.prepare()

    def _watch_restore(self) -> None:
        """Objects may depend on what they did when a run began, which no state holds."""
        restore = self.network.restore

        def restored(*arguments: Any, **options: Any) -> None:
            restore(*arguments, **options)
            self._is_restored = True

        self.network.restore = restored

    def prepare(self) -> None:
        """Compile what has not been compiled yet.

        `step` does so after `restore` and where objects were added.
        """
        net = self.network
        net.run(0 * second, namespace=self._namespace)
        self._objects = net.sorted_objects
        self._calls = [
            call
            for obj in self._objects
            if obj.active
            for call in self._instead.get(obj, calls_of(obj))
        ]
        self._known = set(net.objects)
        self._arrays = {
            clock: tuple(clock.variables[name].get_value() for name in ("timestep", "t", "dt"))
            for clock in {obj.clock for obj in self._objects}
        }
        self._longest = max(self._arrays, key=lambda clock: self._arrays[clock][2][0], default=None)
        for obj in self._objects:
            if isinstance(obj, SettlingSynapses):
                obj.step_outside()
        self._is_restored = False

    def do_instead(self, calls: Mapping[BrianObject, Calls]) -> None:
        """Let `tick` do something else for some objects that comes to the same, or nothing."""
        self._instead = dict(calls)
        self.prepare()

    def tick(self) -> None:
        """One step of a network whose active objects are all on one clock, and nothing else.

        Objects that were added or made inactive since `prepare` are not noticed.
        """
        if self._is_restored:
            self.prepare()
        for call in self._calls:
            call()
        timestep, t, dt = self._arrays[self._longest]
        timestep[0] += 1
        t[0] = timestep[0] * dt[0]
        self.network.t_ = float(t[0])

    def step(self, duration: Quantity | None = None) -> None:
        """Advance the network.

        Parameters
        ----------
        duration : Quantity, second, optional
            One step of the coarsest clock if absent.

        Raises
        ------
        ValueError
            If the duration is negative.
        """
        net = self.network
        if self._is_restored or set(net.objects) != self._known:
            self.prepare()
        if self._longest is None:
            return
        span = float(self._arrays[self._longest][2][0] if duration is None else duration / second)
        if span < 0:
            raise ValueError(f"duration must not be negative, got {duration}")
        end = float(net.t_) + span
        for clock, (timestep, t, dt) in self._arrays.items():
            timestep[0] = clock._calc_timestep(float(net.t_))
            t[0] = timestep[0] * dt[0]
        last = {clock: clock._calc_timestep(end) for clock in self._arrays}
        active = [obj for obj in self._objects if obj.active]
        net._stopped = False
        stopped_at = self._loop(active, last)
        net.t_ = end if stopped_at is None else stopped_at

    def _loop(self, active: list[Any], last: Mapping[Clock, int]) -> float | None:
        """Run objects until the clocks are at their last step; return the time of a stop."""
        net, arrays = self.network, self._arrays
        clock, now = self._next()
        while arrays[clock][0][0] < last[clock]:
            net.t_ = arrays[clock][1][0]
            for obj in active:
                if obj._clock in now:
                    obj.run()
            for c in now:
                timestep, t, dt = arrays[c]
                timestep[0] += 1
                t[0] = timestep[0] * dt[0]
            if net._stopped:
                return float(arrays[clock][1][0])
            clock, now = self._next()
        return None

    def _next(self) -> tuple[Clock, set[Clock]]:
        """The clock that is furthest behind, and all that are at its time."""
        first = min(self._arrays, key=lambda clock: self._arrays[clock][1][0])
        _, t, dt = (array[0] for array in self._arrays[first])
        now = {
            clock
            for clock, (_, (other,), (step,)) in self._arrays.items()
            if other == t or abs(other - t) / min(dt, step) < Clock.epsilon_dt
        }
        return first, now


def is_plain(obj: BrianObject) -> bool:
    """Whether an object does nothing but run its compiled code."""
    return type(obj).run is BrianObject.run


def calls_of(obj: BrianObject) -> Calls:
    """What an object does in a time step; groups do nothing but hold variables."""
    return list(obj.code_objects) if is_plain(obj) else [obj.run]
