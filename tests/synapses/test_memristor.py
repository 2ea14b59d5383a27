import math
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from brian2.units import (
    DimensionMismatchError,
    Quantity,
    amp,
    mvolt,
    nsiemens,
    nwatt,
    second,
    usecond,
    volt,
    watt,
)
from hypothesis import given
from hypothesis import strategies as st

from mstpn.synapses.memristor import DEFAULT_DEVICE, DeviceError, Memristor
from mstpn.synapses.write_limits import WriteLimits

DEVICE = Memristor.from_file()
voltages = st.floats(0, 0.6)
decays = st.floats(0.08, 0.92)
weights = st.floats(DEVICE.weight_min, DEVICE.weight_max)
amplitudes = st.floats(-3.5, 3.5)
widths = st.floats(0, 500)
# one float64 operation is good to 2^-53; these chains have fewer than 50
ROUNDING = 50 * 2.0**-53


def test_offset_conductance_is_the_papers_11_9_nanosiemens() -> None:
    assert float(DEVICE.conductance(0.0) / nsiemens) == pytest.approx(4.3 / 0.36, rel=ROUNDING)


def test_papers_worst_case_bias_energy() -> None:
    # 169,984 synapses at S = 0 and 0.6 V for 48.7 s: 35.6 mJ, both numbers to 3 digits
    power = 169_984 * DEVICE.bias_energy_power(0.6 * volt, 0.0)
    assert float(power * 48.7 * second) == pytest.approx(35.6e-3, rel=2e-3)


def test_power_under_bias_at_zero_weight() -> None:
    assert DEVICE.bias_energy_power(0.6 * volt, 0.0) / nwatt == pytest.approx(4.3, rel=ROUNDING)


@given(volt_a=voltages, weight=weights)
def test_power_is_ohmic(volt_a: float, weight: float) -> None:
    nano = 4.3 / 0.36 + 10 * weight
    expected = volt_a**2 * nano * 1e-9
    got = float(DEVICE.bias_energy_power(volt_a * volt, weight) / watt)
    assert got == pytest.approx(expected, rel=1e-12, abs=1e-24)
    assert got >= 0


@pytest.mark.parametrize(("bias", "decay"), [(0.0, 0.08), (0.3, 0.5), (0.6, 0.92)])
def test_decay_sigmoid_runs_through_the_papers_range(bias: float, decay: float) -> None:
    assert DEVICE.decay(bias * volt) == pytest.approx(decay, rel=1e-12)


@given(decay=decays)
def test_bias_voltage_inverts_decay(decay: float) -> None:
    # the sigmoid's inverse multiplies rounding by at most 1 / (1 - Lambda) = 12.5
    assert DEVICE.decay(DEVICE.bias_voltage(decay)) == pytest.approx(decay, rel=1e-14)


@given(voltage=st.floats(0, 0.6), step=st.floats(1e-3, 1.0))
def test_time_constant_is_the_devices_and_lambda_the_steps(voltage: float, step: float) -> None:
    # Fig. 3e refers to 1/15 s: tau = 1/15 s / ln(1 + exp((V_half - V)/V_slope))
    tau = 1 / 15 / math.log1p(math.exp((0.3 - voltage) / (0.3 / math.log(0.92 / 0.08))))
    assert float(DEVICE.time_constant(voltage * volt)) == pytest.approx(tau, rel=1e-12)
    left = DEVICE.decay(voltage * volt, step * second)
    # the exponent step/tau, at most 40, multiplies rounding
    assert left == pytest.approx(math.exp(-step / tau), rel=1e-12)
    low, high = DEVICE.decay_range(step * second)
    assert low == pytest.approx(0.08 ** (15 * step), rel=1e-12)
    assert high == pytest.approx(0.92 ** (15 * step), rel=1e-12)
    again = DEVICE.bias_voltage(min(max(left, low), high), step * second)
    # Lambda's inverse power divides by 15 step, where it is small the rounding of `left` grows
    assert float(again) == pytest.approx(voltage, abs=1e-11)


@pytest.mark.parametrize("duration", [0 * second, -1 * second, math.nan * second, 1 * volt])
def test_a_duration_that_is_none_is_refused(duration: Quantity) -> None:
    with pytest.raises((ValueError, DimensionMismatchError), match="duration must be"):
        DEVICE.decay(0.3 * volt, duration)
    with pytest.raises((ValueError, DimensionMismatchError), match="duration must be"):
        DEVICE.bias_voltage(0.5, duration)


@given(amplitude=amplitudes, width=widths)
def test_pulse_is_odd_in_voltage_and_linear_in_width(amplitude: float, width: float) -> None:
    delta = DEVICE.pulse_delta(amplitude * volt, width * usecond)
    expected = math.copysign((abs(amplitude) / 3.5) ** 4 * width / 100 * 0.1, amplitude)
    assert float(delta) == pytest.approx(expected, rel=ROUNDING, abs=1e-300)
    assert float(DEVICE.pulse_delta(-amplitude * volt, width * usecond)) == -float(delta)


@given(amplitude=amplitudes)
def test_pulse_energy_is_the_power_law_of_the_update(amplitude: float) -> None:
    delta = float(DEVICE.pulse_delta(amplitude * volt, 100 * usecond))
    at_voltage = float(DEVICE.pulse_energy_at(amplitude * volt, 100 * usecond))
    assert float(DEVICE.pulse_energy_for(delta)) == pytest.approx(at_voltage, rel=1e-12, abs=1e-30)
    assert at_voltage == pytest.approx(14.6e-12 * (amplitude / 3.5) ** 2, rel=1e-12, abs=1e-30)


@given(delta=st.floats(-0.1, 0.1))
def test_pulse_voltage_inverts_update(delta: float) -> None:
    amplitude = DEVICE.pulse_voltage_for(delta)
    assert float(DEVICE.pulse_delta(amplitude, 100 * usecond)) == pytest.approx(
        delta, rel=1e-12, abs=1e-300
    )


@given(weight=weights, first=st.integers(0, 50), then=st.integers(0, 50))
def test_set_pulses_raise_the_weight_and_add_up(weight: float, first: int, then: int) -> None:
    after = float(DEVICE.set_weight(weight, first))
    assert weight - 1e-12 <= after <= DEVICE.weight_max
    both = float(DEVICE.set_weight(min(max(after, DEVICE.weight_min), DEVICE.weight_max), then))
    assert both == pytest.approx(float(DEVICE.set_weight(weight, first + then)), rel=1e-12)


def test_hundred_set_pulses_cover_87_percent_of_the_way() -> None:
    low, high = DEVICE.weight_min, DEVICE.weight_max
    covered = (float(DEVICE.set_weight(low, 100)) - low) / (high - low)
    assert covered == pytest.approx(1 - 0.98**100, rel=1e-12)


@given(
    weight=weights,
    amplitude=st.floats(-8, 8),
    width=st.floats(1, 1000),
    first=st.integers(0, 20),
    then=st.integers(0, 20),
)
def test_long_term_pulses_go_with_amplitude_width_number_and_polarity(
    weight: float, amplitude: float, width: float, first: int, then: int
) -> None:
    pulse = amplitude * volt, width * usecond
    after = float(DEVICE.weight_after(weight, *pulse, first))
    end = DEVICE.weight_max if amplitude > 0 else DEVICE.weight_min
    # 0.02 of the way in 500 us at 4 V, a factor of e in 0.15 V, of either polarity
    exponent = math.log(0.98) * width / 500
    exponent *= math.sinh(abs(amplitude) / 0.15) / math.sinh(4 / 0.15)
    assert after == pytest.approx(end - (end - weight) * math.exp(first * exponent), abs=1e-9)
    assert DEVICE.weight_min <= after <= DEVICE.weight_max
    again = float(DEVICE.weight_after(after, *pulse, then))
    both = float(DEVICE.weight_after(weight, *pulse, first + then))
    assert again == pytest.approx(both, abs=1e-12)
    longer = float(DEVICE.weight_after(weight, amplitude * volt, first * width * usecond))
    assert longer == pytest.approx(after, abs=1e-12)


def test_set_and_reset_have_constants_of_their_own() -> None:
    other = replace(
        DEVICE,
        set_voltage=3.8 * volt,
        set_width=200 * usecond,
        set_fraction=0.1,
        set_slope_voltage=0.2 * volt,
        reset_voltage=3.0 * volt,
        reset_width=50 * usecond,
        reset_fraction=0.3,
        reset_slope_voltage=0.4 * volt,
    )
    high, low = other.weight_max, other.weight_min
    up = other.weight_after(0.0, 3.8 * volt, 200 * usecond, 3)
    assert float(up) == pytest.approx(high - high * 0.9**3, rel=1e-12)
    assert float(up) == pytest.approx(float(other.set_weight(0.0, 3)), rel=1e-12)
    down = other.weight_after(0.0, -3.0 * volt, 50 * usecond, 3)
    assert float(down) == pytest.approx(low - low * 0.7**3, rel=1e-12)
    steeper = math.sinh(3.5 / 0.4) / math.sinh(3.0 / 0.4)
    more = other.weight_after(0.0, -3.5 * volt, 50 * usecond)
    assert float(more) == pytest.approx(low - low * 0.7**steeper, rel=1e-12)


@pytest.mark.parametrize("slope", [0.15, 0.002, 40.0])  # V_ref / V_step from 0.1 to 2000
def test_programming_voltage_inverts_one_pulse(slope: float) -> None:
    device = replace(DEVICE, set_slope_voltage=slope * volt, reset_slope_voltage=slope * volt)
    weight = np.array([0.0, 0.3, -1.0, 4.0, 2.0, 2.0, 0.7])
    target = np.array([0.001, 4.7, 4.0, -1.1, 2.5, 1.5, 0.7])
    pulse = device.programming_voltage(weight, target, 300 * usecond)
    assert np.sign(pulse / volt).tolist() == [1, 1, 1, -1, 1, -1, 0]
    # V of some volts is rounded to 1e-15, which 1 / slope multiplies
    after = device.weight_after(weight, pulse, 300 * usecond)
    np.testing.assert_allclose(after, target, rtol=0, atol=1e-11)


def test_a_short_term_pulse_disturbs_w_slightly_and_half_of_one_hardly() -> None:
    pulse = 3.5 * volt, 100 * usecond
    moved = float(DEVICE.weight_after(0.0, *pulse))
    assert 0.005 < moved / float(DEVICE.pulse_delta(*pulse)) < 0.01
    assert 0 < float(DEVICE.weight_after(0.0, 2 * volt, 500 * usecond, 1000)) < 0.001


def test_values_outside_the_device_are_refused() -> None:
    with pytest.raises(ValueError, match=r"bias_voltage must lie in \[0\. V, 0\.6 V\], got 0\.7 V"):
        DEVICE.decay(0.7 * volt)
    with pytest.raises(ValueError, match=r"decay must lie in \[0\.08, 0\.92\], got 0\.95"):
        DEVICE.bias_voltage(np.array([0.5, 0.95]))
    with pytest.raises(ValueError, match=r"decay must lie in .* got nan"):
        DEVICE.bias_voltage(math.nan)
    with pytest.raises(ValueError, match=r"delta_f must lie in \[-0\.1, 0\.1\], got 0\.2"):
        DEVICE.pulse_voltage_for(0.2)
    with pytest.raises(ValueError, match=r"voltage must lie in \[-3\.5 V, 3\.5 V\], got 4\. V"):
        DEVICE.pulse_delta(4 * volt, 100 * usecond)
    with pytest.raises(ValueError, match=r"width must not be negative"):
        DEVICE.pulse_delta(1 * volt, -1 * usecond)
    with pytest.raises(ValueError, match=r"weight must lie in"):
        DEVICE.set_weight(DEVICE.weight_max + 0.1, 1)
    with pytest.raises(ValueError, match=r"n_pulses must not be negative, got -1"):
        DEVICE.set_weight(0.0, -1)
    pulse = 4 * volt, 500 * usecond
    with pytest.raises(ValueError, match=r"weight must lie in .* got -2"):
        DEVICE.weight_after([0, -2], *pulse)
    with pytest.raises(ValueError, match=r"n_pulses must not be negative, got -1"):
        DEVICE.weight_after(0.0, *pulse, -1)
    with pytest.raises(ValueError, match=r"width must not be negative"):
        DEVICE.weight_after(0.0, 4 * volt, -1 * usecond)
    with pytest.raises(ValueError, match=r"voltage must be finite, got nan V"):
        DEVICE.weight_after(0.0, math.nan * volt, 1 * usecond)
    with pytest.raises(ValueError, match=r"width must be positive"):
        DEVICE.programming_voltage(0.0, 1.0, 0 * usecond)
    with pytest.raises(ValueError, match=r"target must lie in .* got 7"):
        DEVICE.programming_voltage(0.0, 7.0, 1 * usecond)
    with pytest.raises(ValueError, match=r"target must lie within \(.*\), whose ends no pulse"):
        DEVICE.programming_voltage(0.0, DEVICE.weight_min, 1 * usecond)


def test_wrong_units_are_refused() -> None:
    with pytest.raises(DimensionMismatchError):
        DEVICE.decay(0.3)
    with pytest.raises(DimensionMismatchError):
        DEVICE.pulse_delta(1 * amp, 100 * usecond)
    with pytest.raises(DimensionMismatchError):
        DEVICE.pulse_energy_at(1 * volt, 100 * mvolt)
    with pytest.raises(DimensionMismatchError):
        replace(DEVICE, read_voltage=0.6 * amp)


def test_every_constant_says_where_it_comes_from() -> None:
    content = tomllib.loads(DEFAULT_DEVICE.read_text())
    del content["name"]
    assert content.keys() == DEVICE.constants.keys()
    assert DEVICE.constants["bias_power"].provenance == "digest"
    assert all(constant.source for constant in DEVICE.constants.values())


SOURCE = (
    'source = "Fig. 4f: power at S = W + F = 0 under bias_voltage_max; sets the offset conductance"'
)
REFUSED = {
    "missing field 'bias_power' (with a line based_on = \"srtio3.toml\" a file has": (
        f'[bias_power]\nvalue = 4.3\nunit = "nW"\nprovenance = "digest"\n{SOURCE}',
        "",
    ),
    "unknown field 'colour'": ("[bias_power]", "[colour]\nvalue = 1\n[bias_power]"),
    "field 'bias_power': unit must be one of W, pW, nW, uW, mW, got 'nJ'": ('"nW"', '"nJ"'),
    "field 'bias_power': value must be a number, got '4.3'": ("value = 4.3", 'value = "4.3"'),
    "field 'bias_power': value must be a number, got nan": ("value = 4.3", "value = nan"),
    "bias_power must be finite, got inf": ("value = 4.3", "value = inf"),
    "field 'bias_power' has no 'source'": (SOURCE, ""),
    "field 'bias_power': provenance must be one of": ('provenance = "digest"', 'provenance = "?"'),
    "bias_power must be positive": ("value = 4.3", "value = -4.3"),
    "decay_max must be below 1": ("value = 0.92", "value = 1.0"),
    "contradicts the decay law": ("value = 0.92", "value = 0.95"),
    "conductance_min must be below conductance_max": ("value = 60.0", "value = 0.05"),
    "pulse_voltage_min must be below pulse_voltage": ("value = 2.0", "value = 5.0"),
    "set_fraction must lie in (0, 1), got 1.0": ("value = 0.02", "value = 1.0"),
    "reset_fraction must lie in (0, 1), got 1.5": (
        "[reset_fraction]\nvalue = 0.02",
        "[reset_fraction]\nvalue = 1.5",
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_device_files_are_refused_by_name(message: str, tmp_path: Path) -> None:
    text = DEFAULT_DEVICE.read_text()
    old, new = REFUSED[message]
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DeviceError) as error:
        Memristor.from_file(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_write_limits_are_those_of_the_smallest_and_largest_pulse(device: Memristor) -> None:
    limits = device.write_limits()
    # dF ~ V^4: 2 V against 3.5 V, which gives 1 nS of 10 nS per unit of F
    assert limits.delta_f_min == pytest.approx(0.1 * (2 / 3.5) ** 4, rel=ROUNDING)
    assert limits.delta_f_max == pytest.approx(0.1, rel=ROUNDING)
    # 0.1 and 60 nS around an offset of 4.3 nW / (0.6 V)^2
    assert limits.total_min == pytest.approx((0.1 - 4.3 / 0.36) / 10, rel=ROUNDING)
    assert limits.total_max == pytest.approx((60 - 4.3 / 0.36) / 10, rel=ROUNDING)
    assert device.write_limits(smallest=False, largest=False, window=False) == WriteLimits()


@pytest.mark.parametrize("content", [None, b"value = = 3", b"\xff\xfe"])
def test_unreadable_device_files_are_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DeviceError, match=r"mine\.toml"):
        Memristor.from_file(path)


def test_users_own_file_replaces_the_constants(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        DEFAULT_DEVICE.read_text()
        .replace("value = 4.3", "value = 8600.0", 1)
        .replace('unit = "nW"', 'unit = "pW"', 1)
    )
    mine = Memristor.from_file(path)
    assert float(mine.offset_conductance / nsiemens) == pytest.approx(8.6 / 0.36, rel=ROUNDING)


def test_a_file_may_say_only_what_differs(tmp_path: Path, device: Memristor) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'based_on = "srtio3.toml"\nname = "mine"\n[read_duration]\n'
        'value = 2.5\nunit = "us"\nprovenance = "measured"\nsource = "here"\n'
    )
    mine = Memristor.from_file(path)
    assert mine == replace(device, read_duration=2.5 * usecond, name="mine")
    assert mine.provenance("read_duration") == "measured"
    assert mine.provenance("read_voltage") == device.provenance("read_voltage")
    other = tmp_path / "other.toml"
    other.write_text('based_on = "mine.toml"\n')
    assert Memristor.from_file(other) == mine
    for text, message in (
        ('based_on = "other.toml"', "based_on goes on for 8 files"),
        ("based_on = 3", "based_on must name a device file, got 3"),
        ('based_on = "none.toml"', "none.toml: No such file or directory"),
        ('based_on = "srtio3.toml"\ncolour = 1', "unknown field 'colour'"),
    ):
        other.write_text(text)
        with pytest.raises(DeviceError, match=message):
            Memristor.from_file(other)
