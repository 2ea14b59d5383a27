"""The laws of the device and of a pulsed update, each once, as text that every backend runs.

A law is one expression, or lines of assignments, in the syntax that Python and Brian2 share and
in the names of the equations. Brian2 takes the text as it is, see `mstpn.synapses.st_hebb`;
`function` makes a function of it for NumPy, torch or Numba. The forms of the decay are one law
solved for different things, and so are those of the pulse: who changes one changes its
neighbours, all in this file, and the constants in the device file.

What the rest of the package builds on, whatever the laws are: V_bias is V_half + V_slope times a
function of Lambda; the updates of F and the energy of a pulse are powers of one amplitude and
linear in its width, so that the energy is a power of the update too; G is linear in W + F.

Source: Weilenmann et al., Nature Communications 15 (2024), Figs. 3 and 4; the powers and the
sigmoid, the onset and the hyperbolic sine are this package's choice of shape.
"""

import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np

__all__ = [
    "AMPLITUDE",
    "BIAS_VOLTAGE",
    "CHARGE",
    "CONDUCTANCE",
    "CONVERTED",
    "DECAY",
    "DECAY_RATE",
    "ENERGY",
    "ENERGY_OF_UPDATE",
    "ISSUE",
    "LIBRARIES",
    "LONG_TERM_RATE",
    "LONG_TERM_VOLTAGE",
    "ONSET",
    "OVER",
    "ROOM",
    "SATURATION",
    "SIZE_OF_UPDATE",
    "UPDATE",
    "UPDATE_RATE",
    "VOLTAGE",
    "WEIGHT_AFTER",
    "WINDOW",
    "WITHIN",
    "function",
    "put",
]


def put(law: str, **names: str) -> str:
    """The text of a law with other names or expressions for some of its names."""
    pattern = rf"\b({'|'.join(names)})\b"
    return re.sub(pattern, lambda match: names[match[0]], law)


CONDUCTANCE = "G_offset + kappa*S"
"""At total weight S = W + F."""

DECAY = "1/(1 + exp((V_half - V_bias)/V_slope))"
"""Lambda, the share of F that is left after the device's `decay_duration` (Fig. 3e)."""
DECAY_RATE = "log(1 + exp((V_half - V_bias)/V_slope))"
"""ln(1/Lambda): `decay_duration` over the time constant."""
BIAS_VOLTAGE = "V_half + V_slope*log(Lambda/(1 - Lambda))"
"""To hold for a Lambda."""
OVER = "Lambda**(duration/decay_duration)"
"""Share of F that is left after a duration, of a Lambda; with the durations exchanged, the Lambda
of a share."""

AMPLITUDE = "abs(V)/V_0"
"""Of a pulse, in units of the reference pulse; what the powers are taken of."""
VOLTAGE = "V_0*amplitude"
"""Of the positive pulse of an amplitude."""
UPDATE_RATE = "sign(V)*dF_0/w_0*(AMPLITUDE)**m".replace("AMPLITUDE", AMPLITUDE)
"""dF per second of a pulse of V."""
UPDATE = "sign(V)*dF_0*((AMPLITUDE)**m*(w/w_0))".replace("AMPLITUDE", AMPLITUDE)
"""dF by a pulse of V and w (Fig. 3b)."""
ENERGY = "E_0*(AMPLITUDE)**n*(w/w_0)".replace("AMPLITUDE", AMPLITUDE)
"""Of that pulse (Fig. 3c)."""
SIZE_OF_UPDATE = "abs(dF)/dF_0"
"""In units of what the reference pulse does."""
ENERGY_OF_UPDATE = "E_0*(SIZE)**energy_exponent".replace("SIZE", SIZE_OF_UPDATE)
"""Of the pulse of w_0 that changes F by dF, with n/m for the exponent (Fig. 4e)."""

ONSET = "-expm1(-36*(abs(V)/V_min)**onset)"
"""Share of the rate of the pulse law at a voltage that is held: 1 to rounding, exp(-36), from the
smallest pulse on, and a power of V below it, so that a bias or a read writes next to nothing."""
SATURATION = "F_end*clip(abs(V)/V_0, 1e-9, inf)"
"""|F| up to which a held voltage writes; F_end is that of V_0. No voltage, no division by 0."""
ROOM = "clip(2 - 2*sign(V)*F/F_sat, 0, 1)"
"""Share of that rate at an F: whole up to half of F_sat, none from F_sat on."""

LONG_TERM_RATE = (
    "k*(exp(clip((abs(V) - V_ref)/V_step, -inf, 700)) - exp(-(abs(V) + V_ref)/V_step))"
    "/(1 - exp(-2*V_ref/V_step))"
)
"""At which W nears the end of the window that V drives it to: k sinh(|V|/V_step) over
sinh(V_ref/V_step), as of ions that hop in a field, in a form that does not overflow."""
_SHARE = "rate/k*(1 - exp(-2*V_ref/V_step))/2"
LONG_TERM_VOLTAGE = f"V_ref + V_step*log({_SHARE} + (({_SHARE})**2 + exp(-2*V_ref/V_step))**0.5)"
"""|V| of a rate."""
WEIGHT_AFTER = "clip(W - (W_end - W)*expm1(-rate*w), S_min, S_max)"
"""W after a time w at that rate (Fig. 2c); W_end is one end of the window, which rounding does not
leave."""

ISSUE = """
issued = int(abs(wanted) >= dF_min)
pulse = pulse_gain*issued*clip(wanted, -dF_max, dF_max)
"""
"""The pulse of a device for a wanted update: none that is too small, none above dF_max.
pulse_gain is 1 for an ideal device."""
WITHIN = "clip(F, S_min - W, S_max - W)"
"""F as far as W + F is within the device's window."""
WINDOW = "F_new = " + put(WITHIN, F="F + pulse")
"""F after the pulse."""
CHARGE = "charged = issued*clip(energy, -E_max, E_max)"
"""What is issued is paid for as it is issued, also where F cannot move any more."""

CONVERTED = "clip(step*floor(x/step + 0.5), -bound, bound)"
"""A number as a converter of this step and range takes or gives it."""


def _same(condition: Any) -> Any:
    return condition


def _clipped(x: float, low: float, high: float) -> float:
    return min(max(x, low), high)


def _torch() -> dict[str, Any]:
    import torch

    functions: dict[str, Any] = {"exp": torch.exp, "expm1": torch.expm1, "log": torch.log}
    functions |= {"sign": torch.sign, "floor": torch.floor, "clip": torch.clamp, "int": _same}
    return functions | {"inf": math.inf}


def _numba() -> dict[str, Any]:
    import numba

    compiled = {"int": numba.njit(_same), "clip": numba.njit(_clipped)}
    functions = {"exp": math.exp, "expm1": math.expm1, "log": math.log, "sign": np.sign}
    return functions | {"floor": math.floor, "inf": math.inf} | compiled


LIBRARIES: Mapping[str, Callable[[], dict[str, Any]]] = MappingProxyType(
    {
        "numpy": lambda: {
            "exp": np.exp,
            "expm1": np.expm1,
            "log": np.log,
            "sign": np.sign,
            "clip": np.clip,
            "int": np.asarray,
            "floor": np.floor,
            "inf": math.inf,
        },
        "torch": _torch,
        "numba": _numba,
    }
)
"""What the functions in a law's text are, by library; a condition stays one, as which it
multiplies any number without changing its type."""


@cache
def function(law: str, arguments: str, library: str = "numpy") -> Callable[..., Any]:
    """A law as a function.

    Parameters
    ----------
    law : str
        An expression, or assignments of which the last is returned.
    arguments : str
        Names of its arguments, separated by commas.
    library : {"numpy", "torch", "numba"}
        For Numba, compiled on the first call; its results are to be cached with `digest`.

    Raises
    ------
    ValueError
        If the law needs a name that is neither an argument nor of the library.
    """
    *lines, last = [line.strip() for line in law.strip().splitlines()]
    name, assigned, _ = last.partition(" = ")
    body = [*lines, last, f"return {name}"] if assigned else [*lines, f"return {last}"]
    source = "\n    ".join([f"def law({arguments}):", *body])
    names: dict[str, Any] = LIBRARIES[library]()
    code = compile(source, "<law>", "exec")
    exec(code, names)
    made: Callable[..., Any] = names["law"]
    unknown = set(made.__code__.co_names) - names.keys() - {"abs"}
    if unknown:
        raise ValueError(f"the law {law.strip()!r} needs {', '.join(sorted(unknown))}")
    if library == "numba":
        import numba

        return numba.njit(made)
    return made
