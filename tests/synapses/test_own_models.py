"""The synapse in models of one's own: subgroups, delays, plain assignments, any order."""

import copy
import html
import math
import pickle
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
from brian2 import (
    Clock,
    Network,
    NeuronGroup,
    PoissonGroup,
    StateMonitor,
    Synapses,
    network_operation,
    set_device,
)
from brian2 import (
    device as brian_device,
)
from brian2.devices.device import reset_device
from brian2.units import amp, joule, ms, nA, second, volt

from mstpn.network.brian import LayerParameters, MSTPNNetwork
from mstpn.synapses import st_hebb
from mstpn.synapses.energy_monitor import EnergyMonitor
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.write_limits import WriteLimits

T = 50 * ms
TARGETS = ("numpy", "cython")


@pytest.fixture(scope="session")
def device() -> Memristor:
    """Its Lambda refers to the step of these tests."""
    return Memristor.from_file().varied(decay_duration=T)


@pytest.fixture(params=TARGETS)
def on_target(request: pytest.FixtureRequest) -> str:
    return use_target(request.param)


def on_both(*cases: Any, compiled: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Cases on NumPy, and some on Cython, which compiles ten seconds for each."""
    return [(case, "numpy") for case in cases] + [(case, "cython") for case in compiled]


class Pair:
    """Presynaptic and postsynaptic units on a clock of their own."""

    def __init__(self, device: Memristor, n_pre: int, n_post: int) -> None:
        self.device, self.clock = device, Clock(T, name="own_clock*")
        self.pre = st_hebb.get_presynaptic(n_pre, device, T, clock=self.clock)
        self.post = NeuronGroup(
            n_post,
            st_hebb.POSTSYNAPTIC,
            clock=self.clock,
            namespace=st_hebb.constants(device),
            name="own_post*",
        )

    def synapses(self, pre: Any = None, post: Any = None, **options: Any) -> Synapses:
        made = st_hebb.get_synapses(
            self.pre if pre is None else pre,
            self.post if post is None else post,
            self.device,
            **options,
        )
        self.net = Network(self.pre, self.post, made)
        return made

    def run(self, duration: Any) -> None:
        self.net.run(duration, namespace={})


def decay_at(voltage: float, d: oracles.Device) -> float:
    return 1 / (1 + math.exp(-(voltage - 0.3) / 0.12283266696153589))  # srtio3.toml


def read_current(d: oracles.Device, weight: float, z: float = 1.0) -> float:
    return d.v_read * (d.g_offset + d.kappa * weight) * z


def test_subgroups_on_either_side(
    device: Memristor, numbers: oracles.Device, on_target: str
) -> None:
    pair = Pair(device, 1, 2)
    synapses = pair.synapses(post=pair.post[1:])
    synapses.W, pair.pre.z = 0.8, 1
    pair.run(T)
    wanted = [0, read_current(numbers, 0.8)]
    np.testing.assert_allclose(pair.post.I[:] / amp, wanted, rtol=1e-14)
    pair = Pair(device, 4, 2)
    synapses = pair.synapses(pre=pair.pre[2:4])
    synapses.W = "0.1*(i + 2*j)"
    pair.pre.z = [1, 1, 1, 2]
    pair.run(T)
    wanted = [
        read_current(numbers, 0.2 * j) + read_current(numbers, 0.1 + 0.2 * j, 2) for j in (0, 1)
    ]
    np.testing.assert_allclose(pair.post.I[:] / amp, wanted, rtol=1e-14)


@pytest.mark.parametrize("when", ["argument", "before", "between runs"])
def test_a_delay_is_kept(
    when: str, device: Memristor, numbers: oracles.Device, on_target: str
) -> None:
    pair = Pair(device, 1, 1)
    synapses = pair.synapses(delay=100 * ms if when == "argument" else None)
    if when == "before":
        synapses.delay = 100 * ms
    synapses.W, synapses.Gamma, synapses.V_bias = 0.8, 0.1, 0.5 * volt
    trace = StateMonitor(synapses, "F", record=True, when="end", clock=pair.clock)
    pair.net.add(trace)
    if when == "between runs":
        pair.run(2 * T)
        synapses.delay = 100 * ms
    pair.pre.z = pair.pre.z_last = pair.post.h = 1
    pair.run(4 * T)
    f = [0, 0, 0.1, 0.1 + 0.1 * decay_at(0.5, numbers)]
    np.testing.assert_allclose(trace.F[0][-4:], f, rtol=1e-13)


CONNECTED: dict[str, tuple[Any, int]] = {
    "condition": ("i != j", 6),
    "pairs": ({"i": [0, 2], "j": [1, 0]}, 2),
    "none": ({"p": 0.0}, 0),
    "all": (True, 9),
}


@pytest.mark.parametrize(("how", "target"), on_both(*CONNECTED, compiled=["condition", "all"]))
def test_any_connectivity(
    how: str, target: Any, device: Memristor, numbers: oracles.Device
) -> None:
    use_target(target)
    connect, number = CONNECTED[how]
    pair = Pair(device, 3, 3)
    synapses = pair.synapses(connect=connect)
    assert len(synapses) == number
    if number:
        synapses.W = "0.1*(i + 3*j)"
    pair.pre.z = z = np.array([1.0, 0.5, 2.0])
    pair.run(T)
    current = np.zeros(3)
    for i, j in zip(synapses.i[:], synapses.j[:], strict=True):
        current[j] += read_current(numbers, 0.1 * (i + 3 * j), z[i])
    np.testing.assert_allclose(pair.post.I[:] / amp, current, rtol=1e-13)
    energy = numbers.v_read * numbers.t_read * current.sum()
    assert float(np.sum(synapses.E_read[:])) == pytest.approx(energy, rel=1e-13)


def test_synapses_connected_later_are_whole(device: Memristor, numbers: oracles.Device) -> None:
    pair = Pair(device, 2, 2)
    synapses = pair.synapses(connect=False)
    synapses.connect(i=0, j=1)
    synapses.V_bias = 0.5 * volt
    synapses.connect(i=1, j=0)
    np.testing.assert_allclose(synapses.V_bias[:] / volt, [0.5, 0])
    tau = [0.05 / math.log(1 / decay_at(v, numbers)) for v in (0.5, 0.0)]
    np.testing.assert_allclose(synapses.tau[:] / second, tau, rtol=1e-13)


def held(d: oracles.Device, steps: list[tuple[int, float, float, float]], f: float) -> Any:
    """F and bias energy after some stretches of (steps, voltage, W, F added at their start)."""
    energy = 0.0
    for n, voltage, weight, added in steps:
        f += added
        rate = math.log(1 / decay_at(voltage, d)) / 0.05
        left = f * math.exp(-rate * 0.05 * n)
        static = (d.g_offset + d.kappa * weight) * 0.05 * n
        energy += voltage**2 * (static + d.kappa * (f - left) / rate)
        f = left
    return f, energy


ASSIGNED: dict[str, tuple[Callable[[Any], None], tuple[float, float, float]]] = {
    "V_bias": (lambda s: setattr(s, "V_bias", 0.5 * volt), (0.5, 0.3, 0.0)),
    "V_bias[:]": (lambda s: s.V_bias.__setitem__(slice(None), 0.5 * volt), (0.5, 0.3, 0.0)),
    "V_bias_": (lambda s: setattr(s, "V_bias_", 0.5), (0.5, 0.3, 0.0)),
    "text": (lambda s: setattr(s, "V_bias", "0.5*volt"), (0.5, 0.3, 0.0)),
    "set_states": (lambda s: s.set_states({"V_bias": np.array([0.5]) * volt}), (0.5, 0.3, 0.0)),
    "W": (lambda s: setattr(s, "W", 0.8), (0.4, 0.8, 0.0)),
    "W[0, 0]": (lambda s: s.W.__setitem__((0, 0), 0.8), (0.4, 0.8, 0.0)),
    "W +=": (lambda s: s.W.__iadd__(0.5), (0.4, 0.8, 0.0)),
    "Gamma": (lambda s: setattr(s, "Gamma", 0.2), (0.4, 0.3, 0.0)),
    "F": (lambda s: setattr(s, "F", 0.3), (0.4, 0.3, math.nan)),
}


@pytest.mark.parametrize(("way", "target"), on_both(*ASSIGNED, compiled=["V_bias"]))
def test_a_plain_assignment_settles_what_is_due(
    way: str, target: Any, device: Memristor, numbers: oracles.Device
) -> None:
    use_target(target)
    assign, (voltage, weight, _) = ASSIGNED[way]
    pair = Pair(device, 1, 1)
    synapses = pair.synapses()
    synapses.V_bias, synapses.W, synapses.Gamma = 0.4 * volt, 0.3, 0.05
    pair.pre.z_last = pair.post.h = 1
    pair.run(T)
    pair.pre.z_last = 0
    pair.run(T)
    assign(synapses)
    pair.run(10 * T)
    f, before = held(numbers, [(2, 0.4, 0.3, 0.05)], 0.0)
    f, after = held(numbers, [(10, voltage, weight, 0.0)], 0.3 if way == "F" else f)
    assert synapses.F_now[0] == pytest.approx(f, rel=1e-12)
    assert float(synapses.E_bias[0] / joule) == pytest.approx(before + after, rel=1e-12)
    pair.pre.z_last = 1
    pair.run(T)
    gamma = 0.2 if way == "Gamma" else 0.05
    spent = numbers.e_pulse * sum(
        (g / numbers.df_max) ** numbers.energy_exponent for g in (0.05, gamma)
    )
    assert float(synapses.E_pulse[0] / joule) == pytest.approx(spent, rel=1e-12)


@pytest.mark.parametrize("how", ["run_regularly", "network_operation"])
def test_a_voltage_that_a_running_model_changes(
    how: str, device: Memristor, numbers: oracles.Device, on_target: str
) -> None:
    pair = Pair(device, 1, 1)
    synapses = pair.synapses()
    synapses.V_bias, synapses.W, synapses.F = 0.4 * volt, 0.3, 0.5

    def later(t: Any) -> None:
        synapses.V_bias = (0.1 if t > 4.5 * T else 0.4) * volt

    if how == "network_operation":
        pair.net.add(network_operation(clock=pair.clock, when="start")(later))
    else:
        pair.net.add(synapses.run_regularly("V_bias = (0.4 - 0.3*int(t > 225*ms))*volt"))
    pair.run(10 * T)
    f, energy = held(numbers, [(5, 0.4, 0.3, 0.5), (5, 0.1, 0.3, 0.0)], 0.0)
    assert synapses.F_now[0] == pytest.approx(f, rel=1e-12)
    assert float(synapses.E_bias[0] / joule) == pytest.approx(energy, rel=1e-12)


@pytest.mark.parametrize("between", ["\n", "; ", ";"])
def test_two_assignments_of_one_code_are_both_followed(
    between: str, device: Memristor, numbers: oracles.Device
) -> None:
    pair = Pair(device, 1, 1)
    synapses = pair.synapses()
    code = between.join(["W = 0.3", "Gamma = 0.05", "V_bias = 0.4*volt"])
    pair.net.add(synapses.run_regularly(code, when="before_start"))
    pair.pre.z_last = pair.post.h = 1
    pair.run(T)
    f, energy = held(numbers, [(1, 0.4, 0.3, 0.05)], 0.0)
    assert synapses.F_now[0] == pytest.approx(f, rel=1e-12)
    assert float(synapses.E_bias[0] / joule) == pytest.approx(energy, rel=1e-12)
    spent = numbers.e_pulse * (0.05 / numbers.df_max) ** numbers.energy_exponent
    assert float(synapses.E_pulse[0] / joule) == pytest.approx(spent, rel=1e-12)


@pytest.mark.parametrize(
    ("assign", "message"),
    [
        (lambda s: setattr(s, "W", 9.0), r"weight must lie in \["),
        (lambda s: setattr(s, "W", "9.0 + i"), r"weight must lie in \["),
        (lambda s: setattr(s, "V_bias", 0.7 * volt), "bias_voltage must lie in"),
        (lambda s: setattr(s, "V_bias_", 0.7), "bias_voltage must lie in"),
        (lambda s: setattr(s, "Gamma", math.nan), "gamma must be finite"),
        (lambda s: setattr(s, "F", math.inf), "F must be finite"),
        (lambda s: s.W.__setitem__(0, 9.0), r"weight must lie in \["),
    ],
)
def test_what_no_device_holds_is_refused_and_nothing_changes(
    assign: Callable[[Any], None], message: str, device: Memristor
) -> None:
    pair = Pair(device, 2, 1)
    synapses = pair.synapses()
    synapses.V_bias, synapses.W, synapses.F = 0.4 * volt, 0.3, 0.1
    pair.run(T)
    before = {
        name: synapses.state(name)[:] * 1 for name in ("W", "Gamma", "V_bias", "F_now", "tau")
    }
    with pytest.raises(ValueError, match=message):
        assign(synapses)
    for name, values in before.items():
        np.testing.assert_allclose(np.asarray(synapses.state(name)[:]), np.asarray(values))


def test_what_apply_bias_cannot_mean_is_refused_before_anything_changes(
    device: Memristor,
) -> None:
    pair = Pair(device, 3, 2)
    synapses = pair.synapses()
    for options, message in (
        ({"weight": 0.5, "gamma": np.zeros(4)}, "gamma must have 6 values"),
        ({"weight": 0.5, "gamma": "0.1*i"}, "gamma must be numbers"),
        ({"weight": np.zeros((2, 3))}, r"weight must have shape \(3, 2\), got \(2, 3\)"),
    ):
        with pytest.raises(ValueError, match=message):
            st_hebb.apply_bias(synapses, device, **options)
    other = replace(device, set_fraction=0.5)
    with pytest.raises(ValueError, match="device must be that of the synapses"):
        st_hebb.apply_bias(synapses, other, weight=0.5)
    assert not np.any(synapses.W[:])
    st_hebb.apply_bias(synapses, device, weight=np.arange(6.0).reshape(3, 2) / 10)
    np.testing.assert_array_equal(synapses.W["i == 2"], [0.4, 0.5])


def test_groups_that_do_not_fit_are_refused(device: Memristor) -> None:
    pair = Pair(device, 2, 2)
    with pytest.raises(ValueError, match="presynaptic must come from get_presynaptic"):
        pair.synapses(pre=PoissonGroup(3, 10 / second, name="poisson*"))
    with pytest.raises(ValueError, match="postsynaptic must have 'h'"):
        pair.synapses(post=NeuronGroup(2, "v : 1", name="lif*"))
    plain = NeuronGroup(2, "h : 1\nh_power : 1\nI : amp", name="plain*")
    with pytest.raises(ValueError, match="h_power must follow h"):
        pair.synapses(post=plain)


def test_nothing_of_an_earlier_network_is_charged(device: Memristor) -> None:
    found = []
    for _ in range(2):
        pre = st_hebb.get_presynaptic(1, device, T)
        post = st_hebb.get_postsynaptic(1, device, T)
        synapses = st_hebb.get_synapses(pre, post, device)
        synapses.V_bias, synapses.W, synapses.Gamma = 0.5 * volt, 0.8, 0.1
        net = Network(pre, post, synapses)
        pre.z_last = post.h = 1
        net.run(T, namespace={})
        pre.z_last = 0
        net.run(10 * T, namespace={})
        found.append(float(synapses.E_bias[0] / joule))
    assert found[0] == found[1] == pytest.approx(2.80239637e-9, rel=1e-8)


def test_synapses_added_late_begin_then(device: Memristor, numbers: oracles.Device) -> None:
    pair = Pair(device, 1, 1)
    net = Network(pair.pre, pair.post)
    net.run(20 * T, namespace={})
    synapses = st_hebb.get_synapses(pair.pre, pair.post, device)
    synapses.V_bias, synapses.F = 0.5 * volt, 0.2
    net.add(synapses)
    net.run(4 * T, namespace={})
    f, energy = held(numbers, [(4, 0.5, 0.0, 0.2)], 0.0)
    assert synapses.F_now[0] == pytest.approx(f, rel=1e-12)
    assert float(synapses.E_bias[0] / joule) == pytest.approx(energy, rel=1e-12)


def test_a_clock_that_another_network_moved_is_noticed(device: Memristor) -> None:
    pair = Pair(device, 1, 1)
    synapses = pair.synapses()
    pair.run(4 * T)
    other = NeuronGroup(1, "v : 1", clock=pair.clock, name="other*")
    Network(other).run(10 * T, namespace={})
    with pytest.raises(ValueError, match="shows 500 ms, but it has run until 200 ms"):
        synapses.W = 0.5


def small_network(device: Memristor) -> MSTPNNetwork:
    return MSTPNNetwork(
        LayerParameters(
            weight=np.zeros((1, 3)),
            decay=np.full((1, 3), 0.5),
            gamma=np.full((1, 3), 0.1),
            bias=np.ones(1),
            normalisation="none",
        ),
        device,
        T,
    )


def test_steps_and_runs_go_on_from_each_other(device: Memristor) -> None:
    network = small_network(device)
    for _ in range(4):
        network.step(np.ones(2))
    before = network.synapses.F_now[:]
    network.net.store()
    assert float(network.net.t / ms) == pytest.approx(200)
    np.testing.assert_array_equal(network.synapses.F_now[:], before)
    network.presynaptic.z = network.presynaptic.z_last = 0
    energy = float(network.energy()["bias"])
    network.net.run(100 * ms, namespace={})
    assert float(network.time / ms) == pytest.approx(300)
    np.testing.assert_allclose(network.synapses.F_now[:], before * 0.25, rtol=1e-12)
    assert float(network.energy()["bias"]) > energy


def test_a_step_refuses_what_is_on_another_clock(device: Memristor) -> None:
    network = small_network(device)
    network.net.add(StateMonitor(network.neurons, "h", record=True, dt=10 * ms, name="fine*"))
    with pytest.raises(ValueError, match=r"fine.* must be on the network's clock"):
        network.step(np.ones(2))


def test_a_device_is_a_value(device: Memristor) -> None:
    for again in (pickle.loads(pickle.dumps(device)), copy.deepcopy(device)):
        assert again == device
        assert hash(again) == hash(device)
        assert again.provenance("pulse_energy") == device.provenance("pulse_energy")
    assert asdict(device)["set_fraction"] == device.set_fraction
    assert hash(replace(device, set_fraction=0.5)) != hash(device)
    with pytest.raises(TypeError, match="read-only"):
        device.constants["pulse_energy"] = device.constants["pulse_width"]  # type: ignore[index]


def programs(seed: int) -> list[tuple[str, Any]]:
    """A random model and what is done with it, as plain data."""
    rng = np.random.default_rng(seed)
    n_pre, n_post = (int(n) for n in rng.integers(1, 5, 2))
    connect = rng.random((n_pre, n_post)) < rng.choice([0.5, 1.0])
    connect[0, 0] = True
    steps: list[tuple[str, Any]] = [("shape", (n_pre, n_post)), ("connect", connect)]
    steps.append(("delay", int(rng.integers(0, 3))))
    steps.append(("limits", bool(rng.integers(2))))
    n = int(connect.sum())
    for _ in range(12):
        kind = str(rng.choice(["W", "Gamma", "V_bias", "F", "step", "step", "step", "step"]))
        values = {
            "W": lambda: rng.uniform(-1, 1, n),
            "Gamma": lambda: rng.uniform(-0.2, 0.2, n),
            "V_bias": lambda: rng.uniform(0, 0.6, n),
            "F": lambda: rng.uniform(-0.5, 0.5, n),
            "step": lambda: (
                rng.uniform(-1, 1, n_pre) * (rng.random(n_pre) < 0.6),
                rng.uniform(-1, 1, n_post),
            ),
        }[kind]()
        steps.append((kind, values))
    steps += [("step", (np.zeros(n_pre), np.zeros(n_post)))] * 3
    return steps


def on_brian(
    program: list[tuple[str, Any]], device: Memristor, limits: WriteLimits
) -> dict[str, Any]:
    fixed = dict(program[:4])
    (n_pre, n_post), connect = fixed["shape"], fixed["connect"]
    pair = Pair(device, n_pre, n_post)
    i, j = np.nonzero(connect)
    synapses = pair.synapses(
        connect=True if connect.all() else {"i": i, "j": j},
        delay=fixed["delay"] * T if fixed["delay"] else None,
        limits=limits if fixed["limits"] else None,
    )
    z_last, h = np.zeros(n_pre), np.zeros(n_post)
    currents = []
    for kind, values in program[4:]:
        if kind == "step":
            z, h_next = values
            pair.pre.z, pair.pre.z_last, pair.post.h, pair.post.I = z, z_last, h, 0 * nA
            pair.run(T)
            currents.append(np.asarray(pair.post.I[:] / amp))
            z_last, h = z, h_next
        else:
            setattr(synapses, kind, values * volt if kind == "V_bias" else values)
    return {
        "currents": np.array(currents),
        "F": np.asarray(synapses.F_now[:]),
        **{f"E_{t}": np.asarray(getattr(synapses, f"E_{t}")[:]) for t in ("pulse", "bias", "read")},
    }


def on_paper(
    program: list[tuple[str, Any]], d: oracles.Device, limits: WriteLimits
) -> dict[str, Any]:
    """The same, synapse by synapse: what arrives is z, z_last and h of the time of arrival."""
    fixed = dict(program[:4])
    (n_pre, n_post), connect = fixed["shape"], fixed["connect"]
    pairs = list(zip(*np.nonzero(connect), strict=True))
    n = len(pairs)
    w, gamma, v, f = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    pulse, bias, read = np.zeros(n), np.zeros(n), np.zeros(n)
    z_last, h, driven = np.zeros(n_pre), np.zeros(n_post), []
    currents = []
    for kind, values in program[4:]:
        if kind != "step":
            {"W": w, "Gamma": gamma, "V_bias": v, "F": f}[kind][:] = values
            continue
        z, h_next = values
        driven.append((z != 0) | (z_last != 0))
        arriving = driven[-1 - fixed["delay"]] if len(driven) > fixed["delay"] else np.zeros(n_pre)
        current = np.zeros(n_post)
        for k, (i, j) in enumerate(pairs):
            if arriving[i]:
                wanted = gamma[k] * h[j] * z_last[i]
                issued, energy = wanted, abs(wanted)
                if fixed["limits"]:
                    issued = 0.0 if abs(wanted) < limits.delta_f_min else wanted
                    issued = max(-limits.delta_f_max, min(limits.delta_f_max, issued))
                    f[k] = max(limits.total_min - w[k], min(limits.total_max - w[k], f[k] + issued))
                    energy = abs(issued)
                else:
                    f[k] += issued
                pulse[k] += d.e_pulse * (energy / d.df_max) ** d.energy_exponent
                conductance = d.g_offset + d.kappa * (w[k] + f[k])
                current[j] += d.v_read * conductance * z[i]
                read[k] += d.v_read**2 * conductance * d.t_read * abs(z[i])
            rate = math.log(1 / decay_at(v[k], d)) / 0.05
            left = f[k] * math.exp(-rate * 0.05)
            static = (d.g_offset + d.kappa * w[k]) * 0.05
            bias[k] += v[k] ** 2 * (static + d.kappa * (f[k] - left) / rate)
            f[k] = left
        currents.append(current)
        z_last, h = z, h_next
    return {
        "currents": np.array(currents),
        "F": f,
        "E_pulse": pulse,
        "E_bias": bias,
        "E_read": read,
    }


@pytest.mark.parametrize(("seed", "target"), on_both(*range(8), compiled=[0, 1]))
def test_random_programs_equal_the_recursion(
    seed: int, target: Any, device: Memristor, numbers: oracles.Device
) -> None:
    use_target(target)
    program, limits = programs(seed), device.write_limits()
    found, wanted = on_brian(program, device, limits), on_paper(program, numbers, limits)
    for name, values in wanted.items():
        scale = max(1e-300, float(np.abs(values).max()))
        # some 20 roundings of numbers that partly cancel, relative to the largest
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-12 * scale, err_msg=name)


def test_cpp_standalone_knows_subgroups_and_delays(
    device: Memristor, numbers: oracles.Device, tmp_path: Path
) -> None:
    set_device("cpp_standalone", build_on_run=False, directory=str(tmp_path))
    try:
        pair = Pair(device, 4, 3)
        synapses = pair.synapses(pre=pair.pre[2:4], post=pair.post[1:])
        delayed = st_hebb.get_synapses(pair.pre, pair.post, device)
        delayed.delay = 100 * ms
        pair.net.add(delayed)
        synapses.W = 0.8
        delayed.V_bias, delayed.Gamma = 0.5 * volt, 0.1
        pair.pre.z = [0, 0, 1, 0]
        pair.pre.z_last, pair.post.h = 1, 1
        pair.net.run(4 * T, namespace={})
        synapses.V_bias = 0.5 * volt
        delayed.W = 0.2
        brian_device.build(directory=str(tmp_path))
        one = read_current(numbers, 0.8)
        all_of_it = pair.post.I[:] / amp
        f = 0.1 * (1 + decay_at(0.5, numbers))
        reads = [read_current(numbers, 0.1), read_current(numbers, f)]
        np.testing.assert_allclose(
            all_of_it, [sum(reads), 4 * one + sum(reads), 4 * one + sum(reads)], rtol=1e-13
        )
        energy = 0.5**2 * numbers.g_offset * 0.2
        bias = np.asarray(delayed.E_settled[:] / joule)
        assert (bias > energy).all()
    finally:
        brian_device.reinit()
        reset_device()
        set_device("runtime")


def test_energies_by_term_in_the_course_of_a_run(
    device: Memristor, numbers: oracles.Device
) -> None:
    pair = Pair(device, 2, 1)
    synapses = pair.synapses()
    synapses.V_bias, synapses.W, synapses.Gamma = 0.5 * volt, 0.8, 0.1
    monitor = EnergyMonitor(synapses)
    pair.net.add(monitor)
    pair.pre.z_last = pair.post.h = pair.pre.z = 1
    pair.run(T)
    pair.pre.z_last = pair.pre.z = 0
    pair.run(9 * T)
    assert len(monitor.t) == 10
    for term, values in monitor.energy.items():
        assert np.all(np.diff(values / joule) >= 0)
        total = float(np.sum(getattr(synapses, f"E_{term}")[:]) / joule)
        assert float(synapses.energy()[term] / joule) == pytest.approx(total, rel=1e-15)
    # the last look is a step before the end of the run
    _, bias = held(numbers, [(9, 0.5, 0.8, 0.1)], 0.0)
    assert float(monitor.energy["bias"][-1] / joule) == pytest.approx(2 * bias, rel=1e-12)
    assert float(monitor.energy["pulse"][0] / joule) == pytest.approx(2 * 14.6e-12, rel=1e-12)


def test_a_notebook_shows_all_that_runs(device: Memristor) -> None:
    pair = Pair(device, 2, 3)
    synapses = pair.synapses(limits=device.write_limits())
    shown = html.unescape(synapses._repr_html_())
    assert "6 synapses from" in shown
    assert device.name in shown
    for line in (st_hebb.WRITE_LIMITED + st_hebb.READ).strip().splitlines():
        assert line.strip() in shown
    assert "F_now = F*exp(-(t - lastupdate)/tau)" in shown
    assert synapses.pre.code.split() == (st_hebb.WRITE_LIMITED + st_hebb.READ).split()


@pytest.mark.parametrize("slot", ["before_start", "start"])
def test_inputs_set_while_a_step_begins_are_those_of_the_step(
    slot: str, device: Memristor, numbers: oracles.Device
) -> None:
    pre = st_hebb.get_presynaptic(1, device, T)
    post = st_hebb.get_postsynaptic(1, device, T, clock=pre.clock)
    synapses = st_hebb.get_synapses(pre, post, device)
    synapses.W, synapses.Gamma = 0.8, 0.1

    @network_operation(clock=pre.clock, when=slot)
    def present() -> None:
        pre.z, pre.z_last, post.h = 0.5, 0.25, 0.5

    Network(pre, post, synapses, present).run(T, namespace={})
    current = read_current(numbers, 0.8 + 0.1 * 0.25 * 0.5, 0.5)
    assert float(post.I[0] / amp) == pytest.approx(current, rel=1e-13)
    spent = numbers.e_pulse * (0.1 * 0.25 * 0.5 / 0.1) ** 0.5
    assert float(synapses.E_pulse[0] / joule) == pytest.approx(spent, rel=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_a_layer_of_plain_brian2_equals_the_recursion(
    target: Any, device: Memristor, numbers: oracles.Device
) -> None:
    use_target(target)
    rng, n, m, steps = np.random.default_rng(8), 3, 7, 30
    weight, gamma = rng.uniform(-0.5, 0.5, (n, m)), rng.uniform(-0.1, 0.1, (n, m))
    x = rng.normal(size=(steps, m)) * (rng.random((steps, m)) < 0.4)
    pre = st_hebb.get_presynaptic(m, device, T)
    post = st_hebb.get_postsynaptic(n, device, T, clock=pre.clock)
    post.run_regularly("h = tanh(I/(V_read*kappa))", when="after_synapses")
    synapses = st_hebb.get_synapses(pre, post, device, offset=False)
    synapses.W, synapses.Gamma, synapses.V_bias = weight.T.ravel(), gamma.T.ravel(), 0.4 * volt
    st_hebb.feed(pre[:4], x[:, :4])
    st_hebb.feed(pre[4:], x[:, 4:])
    seen = StateMonitor(post, "h", record=True, when="end", clock=pre.clock)
    Network(pre, post, synapses, seen).run((steps + 1) * T, namespace={})
    decay = 1 / (1 + math.exp((0.3 - 0.4) / 0.12283266696153589))
    trace, wanted, read = np.zeros((n, m)), [], 0.0
    for z in x:
        wanted.append(np.tanh((weight + trace) @ z))
        conductance = numbers.g_offset + numbers.kappa * (weight + trace)
        read += float((numbers.v_read**2 * numbers.t_read * conductance * np.abs(z)).sum())
        trace = decay * trace + gamma * np.outer(wanted[-1], z)
    # each step's F passes some roundings of 1e-16 on to the next, damped by its decay
    np.testing.assert_allclose(np.array(seen.h).T[:-1], wanted, rtol=0, atol=1e-13)
    np.testing.assert_allclose(seen.h[:, -1], 0, atol=0)
    now = synapses.F_now[:].reshape(m, n).T  # one step after the last pulses
    np.testing.assert_allclose(now, decay * trace, rtol=0, atol=1e-13)
    assert float(synapses.energy()["read"] / joule) == pytest.approx(read, rel=1e-12)


def test_inputs_that_are_none_are_refused(device: Memristor) -> None:
    pre = st_hebb.get_presynaptic(3, device, T)
    with pytest.raises(ValueError, match=r"inputs must have shape \(T, 3\), got \(3,\)"):
        st_hebb.feed(pre, np.zeros(3))
    with pytest.raises(ValueError, match="inputs must be finite"):
        st_hebb.feed(pre, np.full((2, 3), np.nan))
