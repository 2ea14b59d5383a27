"""Code of rows against NumPy: any function of Brian2 and of the user's, powers, fallbacks."""

from typing import Any

import numpy as np
import pytest
from brian2 import Function, Network, NeuronGroup
from brian2.core.base import BrianObjectException
from brian2.units import ms, volt
from numpy.typing import NDArray

from mstpn.synapses import st_hebb
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.rows import visit_rows
from mstpn.synapses.settling import SettlingSynapses
from mstpn.synapses.support.brian_target import use_target

Array = NDArray[np.float64]
N_PRE, N_POST = 7, 9
DECAY = (1 / (1 + np.exp(-(0.5 - 0.3) / 0.12283266696153589))) ** (15 * 0.05)
"""Of 50 ms at 0.5 V, by the numbers of srtio3.toml."""
EXPONENTS = np.array([0, 1, 2, 7, 1000, 0.5, -1])


def _exprel(x: Array) -> Array:
    return np.expm1(x) / x


FUNCTIONS: dict[str, Any] = {
    "abs(x)": np.abs,
    "arccos(x/9)": lambda x: np.arccos(x / 9),
    "arcsin(x/9)": lambda x: np.arcsin(x / 9),
    "arctan(x)": np.arctan,
    "ceil(x)": np.ceil,
    "clip(x, -1, 1)": lambda x: np.clip(x, -1, 1),
    "cos(x)": np.cos,
    "cosh(x)": np.cosh,
    "exp(x)": np.exp,
    "expm1(x)": np.expm1,
    "exprel(x)": _exprel,
    "floor(x)": np.floor,
    "int(x > 0)": lambda x: x > 0,
    "log(abs(x))": lambda x: np.log(np.abs(x)),
    "log10(abs(x))": lambda x: np.log10(np.abs(x)),
    "log1p(abs(x))": lambda x: np.log1p(np.abs(x)),
    "sign(x)": np.sign,
    "sin(x)": np.sin,
    "sinh(x)": np.sinh,
    "sqrt(abs(x))": lambda x: np.sqrt(np.abs(x)),
    "tan(x)": np.tan,
    "tanh(x)": np.tanh,
    "timestep(abs(x)*second, 0.25*second)": lambda x: np.floor(4 * np.abs(x) + 1e-3),
    "abs(x)**1.7": lambda x: np.abs(x) ** 1.7,
    "halved(x)": lambda x: x / 2,
    "doubled(x)": lambda x: 2 * x,
    "rand() < 2": np.ones_like,
}


def user_function(text: str) -> Function:
    """One of the user's, given in Cython."""
    made = Function(lambda x: x, arg_units=[1], return_unit=1)
    made.implementations.add_implementation("cython", text, name=text.split("(")[0].split()[-1])
    return made


USERS = {
    "halved": user_function("cdef double halved(double x) noexcept nogil:\n    return 0.5*x"),
    "doubled": user_function("cdef double doubled(double x):\n    return 2*x"),
    "refused": user_function("cdef double refused(double x) except -7:\n    raise ValueError(x)"),
}


def synapses_with(code: str, variables: list[str]) -> tuple[Network, SettlingSynapses]:
    """Synapses of rows with some code at every time step, compiled."""
    use_target("cython")
    pre = NeuronGroup(N_PRE, "k : 1", threshold="True", reset="", name="sources*")
    post = NeuronGroup(N_POST, "", name="targets*")
    model = "\n".join(f"{name} : 1" for name in ("x", *variables))
    synapses = SettlingSynapses(
        *(pre, post, model),
        settle=(),
        start=(),
        guards={},
        initial={},
        on_pre=code,
        namespace=USERS,
        name="rows*",
    )
    visit_rows(synapses.pre)
    synapses.connect()
    pre.k = EXPONENTS
    synapses.x = np.random.default_rng(1).uniform(-3, 3, N_PRE * N_POST)
    return Network(pre, post, synapses), synapses


def test_any_function_of_brian2_and_of_the_user() -> None:
    results = [f"y_{k}" for k in range(len(FUNCTIONS))]
    code = "\n".join(f"{y} = {text}" for y, text in zip(results, FUNCTIONS, strict=True))
    net, synapses = synapses_with(code, results)
    net.run(0.1 * ms, namespace={})
    assert synapses.pre.template == "synapses_rows"
    x = np.array(synapses.x)
    for y, (text, function) in zip(results, FUNCTIONS.items(), strict=True):
        # 4 units in the last place: what vector libraries promise
        np.testing.assert_allclose(getattr(synapses, y), function(x), rtol=1e-15, err_msg=text)


def test_what_a_function_raises_is_raised() -> None:
    net, _ = synapses_with("y = refused(x)", ["y"])
    with pytest.raises((ValueError, BrianObjectException)):
        net.run(0.1 * ms, namespace={})


def test_powers_of_a_row() -> None:
    code = "y = b**k_pre\nu = b**(2*k_pre)\nv = x**k_pre\nx *= 1.001\nw = x**k_pre"
    net, synapses = synapses_with(code, ["b", "y", "u", "v", "w"])
    synapses.x = synapses.b = x = np.random.default_rng(2).uniform(0.99, 1.01, N_PRE * N_POST)
    net.run(0.1 * ms, namespace={})
    k = np.repeat(EXPONENTS, N_POST)
    powers = {"y": x**k, "u": x ** (2 * k), "v": x**k, "w": (1.001 * x) ** k}
    for name, wanted in powers.items():  # each of up to 2 k factors is rounded once
        np.testing.assert_allclose(getattr(synapses, name), wanted, rtol=2000 * 1.2e-16)


@pytest.mark.parametrize("target", ["numpy", "cython"])
def test_another_time_step_between_runs(target: Any, device: Memristor) -> None:
    use_target(target)
    pre = st_hebb.get_presynaptic(2, device, 50 * ms)
    post = st_hebb.get_postsynaptic(2, device, 50 * ms, clock=pre.clock)
    synapses = st_hebb.get_synapses(pre, post, device)
    synapses.V_bias, synapses.F = 0.5 * volt, 0.3
    pre.z = 1
    net = Network(pre, post, synapses)
    net.run(100 * ms)
    pre.clock.dt = 25 * ms
    net.run(75 * ms)
    np.testing.assert_allclose(synapses.F_now[:], 0.3 * DECAY**3.5, rtol=1e-13)


def test_rows_only_where_their_synapses_were_visited_together(device: Memristor) -> None:
    use_target("cython")
    pre = st_hebb.get_presynaptic(1, device, 50 * ms)
    post = st_hebb.get_postsynaptic(2, device, 50 * ms, clock=pre.clock)
    synapses = st_hebb.get_synapses(pre, post, device)
    synapses.V_bias, synapses.F = 0.5 * volt, 0.3
    net = Network(pre, post, synapses)
    net.run(100 * ms)
    assert synapses.pre.template == "synapses_rows"
    synapses.lastupdate = np.array([0, 100]) * ms
    pre.z = 1
    net.run(50 * ms)
    assert synapses.pre.template == "synapses"
    np.testing.assert_allclose(synapses.F[:], 0.3 * DECAY ** np.array([2, 0]), rtol=1e-13)
