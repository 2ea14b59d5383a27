"""The device's laws: one text, and every backend computes what it says."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit

from mstpn.synapses import law, st_hebb

RNG = np.random.default_rng(5)
DECAY = "V_bias, V_half, V_slope"
PULSE = "wanted, dF_min, dF_max, pulse_gain"


def numbers(n: int = 500) -> NDArray[np.float64]:
    return RNG.uniform(-3, 3, n)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_decay_is_the_logistic_function_and_its_inverse(library: str) -> None:
    v = numbers()
    given = torch.from_numpy(v) if library == "torch" else v
    decay = law.function(law.DECAY, DECAY, library)(given, 0.4, 0.1)
    rate = law.function(law.DECAY_RATE, DECAY, library)(given, 0.4, 0.1)
    wanted = expit((v - 0.4) / 0.1)
    # exp amplifies the rounding of its argument, at most 34
    np.testing.assert_allclose(np.asarray(decay), wanted, rtol=34 * 4e-16)
    # of log(1 + x) with x below the rounding of 1, the absolute error is that rounding
    np.testing.assert_allclose(np.asarray(rate), -np.log(wanted), rtol=34 * 4e-16, atol=2.3e-16)
    inside = np.asarray(decay)[(wanted > 1e-3) & (wanted < 0.999)]
    again = law.function(law.BIAS_VOLTAGE, "Lambda, V_half, V_slope")(inside, 0.4, 0.1)
    np.testing.assert_allclose(again, 0.4 + 0.1 * logit(inside), rtol=0, atol=1e-15)


def test_pulse_forms_are_one_law() -> None:
    v, v_0, w, w_0, df_0, e_0, m, n = 2.7, 3.5, 2e-4, 5e-4, 0.02, 1e-9, 4.2, 5.1
    update = law.function(law.UPDATE, "V, w, V_0, w_0, dF_0, m")
    rate = law.function(law.UPDATE_RATE, "V, V_0, w_0, dF_0, m")
    energy = law.function(law.ENERGY, "V, w, V_0, w_0, E_0, n")
    by_update = law.function(law.ENERGY_OF_UPDATE, "dF, E_0, dF_0, energy_exponent")
    voltage = law.function(law.VOLTAGE, "amplitude, V_0")
    size = law.function(law.SIZE_OF_UPDATE, "dF, dF_0")
    whole = update(v, w_0, v_0, w_0, df_0, m)
    assert whole == pytest.approx(df_0 * math.exp(m * math.log(v / v_0)), rel=1e-14)
    assert update(-v, w, v_0, w_0, df_0, m) == pytest.approx(-whole * w / w_0, rel=1e-15)
    assert rate(v, v_0, w_0, df_0, m) * w_0 == pytest.approx(whole, rel=1e-15)
    assert by_update(whole, e_0, df_0, n / m) == pytest.approx(
        energy(v, w_0, v_0, w_0, e_0, n), rel=1e-14
    )
    assert voltage(size(whole, df_0) ** (1 / m), v_0) == pytest.approx(v, rel=1e-14)


@pytest.mark.parametrize("library", ["numpy", "torch", "numba"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_pulse_and_window_in_every_library(library: str, kind: type[np.floating[Any]]) -> None:
    wanted, trace, weight = numbers(1500).astype(kind).reshape(3, -1)
    pulse = law.function(law.ISSUE, PULSE, library)
    windowed = law.function(law.WINDOW, "F, pulse, S_min, S_max, W", library)
    least, most, low, high = (kind(x) for x in (0.4, 1.7, -1.0, 1.25))
    made: Any
    after: Any
    if library == "numba":
        made = [pulse(x, least, most, kind(0.5)) for x in wanted]
        given = zip(trace, made, weight, strict=True)
        after = [windowed(f, p, low, high, w) for f, p, w in given]
    elif library == "torch":
        made = pulse(torch.from_numpy(wanted), float(least), float(most), 0.5)
        trace_of, weight_of = torch.from_numpy(trace), torch.from_numpy(weight)
        after = windowed(trace_of, made, float(low), float(high), weight_of)
    else:
        made = pulse(wanted, least, most, kind(0.5))
        after = windowed(trace, made, low, high, weight)
    expected = [
        0.5 * math.copysign(min(abs(x), most), x) if abs(x) >= least else 0.0 for x in wanted
    ]
    rounding = 4 * float(np.finfo(kind).eps)
    np.testing.assert_allclose(np.asarray(made), expected, rtol=rounding)
    inside = [
        max(low - w, min(high - w, f + p)) for f, p, w in zip(trace, expected, weight, strict=True)
    ]
    np.testing.assert_allclose(np.asarray(after), inside, rtol=0, atol=4 * rounding)


def test_the_limits_include_their_ends() -> None:
    pulse = law.function(law.ISSUE, PULSE)
    assert pulse(0.25, 0.25, 1.0, 1.0) == 0.25
    assert pulse(np.nextafter(0.25, 0), 0.25, 1.0, 1.0) == 0
    assert pulse(-np.nextafter(1.0, 2), 0.25, 1.0, 1.0) == -1


def test_the_synapse_is_made_of_the_laws() -> None:
    for part in (law.ISSUE, law.WINDOW):
        for line in part.strip().splitlines():
            assert line in st_hebb.WRITE_LIMITED
    for line in law.ISSUE.strip().splitlines():
        assert line in st_hebb.WRITE_SLOW
    assert law.put(law.CONDUCTANCE, S="(W + F)") in st_hebb.READ


def test_a_law_with_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="needs V_half, V_slope"):
        law.function(law.DECAY, "V_bias")


KERNEL = """
from mstpn.synapses import law
from mstpn.synapses.compiled import compiled
import kernel_of_a_test

print(kernel_of_a_test.doubled(1.5), sum(kernel_of_a_test.doubled.stats.cache_hits.values()))
"""
MODULE = """
from mstpn.synapses import law
from mstpn.synapses.compiled import compiled

_window = law.function(law.WINDOW, "F, pulse, S_min, S_max, W", "numba")


@compiled()
def doubled(x):
    return _window(x, x, -10.0, 10.0, 0.0)
"""


def test_a_changed_law_is_compiled_anew(tmp_path: Path) -> None:
    (tmp_path / "kernel_of_a_test.py").write_text(MODULE)

    def run(before: str = "") -> list[str]:
        code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        if before:
            code += f"from mstpn.synapses import law\n{before}\n"
        done = subprocess.run(
            [sys.executable, "-c", code + KERNEL],
            check=True,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"PATH": "", "NUMBA_CACHE_DIR": str(tmp_path / "cache")},
        )
        return done.stdout.split()

    assert run() == ["3.0", "0"]
    assert run() == ["3.0", "1"]
    assert run("law.WINDOW = law.put(law.WINDOW, pulse='3*pulse')") == ["6.0", "0"]


CALLED = """
import numba

FACTOR = 2.0


@numba.njit
def scaled(x):
    return FACTOR * x
"""
CALLING = """
from mstpn.synapses.compiled import compiled
from called_by_a_test import scaled


@compiled()
def squared(x):
    return scaled(x) ** 2
"""


def test_a_kernel_is_compiled_anew_when_what_it_calls_changes(tmp_path: Path) -> None:
    def run(called: str) -> list[str]:
        (tmp_path / "called_by_a_test.py").write_text(called)
        code = (
            f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
            "from calling_of_a_test import squared\n"
            "print(squared(1.5), sum(squared.stats.cache_hits.values()))"
        )
        done = subprocess.run(
            [sys.executable, "-B", "-c", code],
            check=True,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"PATH": "", "NUMBA_CACHE_DIR": str(tmp_path / "cache")},
        )
        return done.stdout.split()

    (tmp_path / "calling_of_a_test.py").write_text(CALLING)
    assert run(CALLED) == ["9.0", "0"]
    assert run(CALLED) == ["9.0", "1"]
    assert run(CALLED.replace("FACTOR = 2.0", "FACTOR = 4.0")) == ["36.0", "0"]
    assert run(CALLED.replace("FACTOR * x", "FACTOR - x")) == ["0.25", "0"]
