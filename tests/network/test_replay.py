"""The C++ replay against the network stepped by Python, and the sweep as its users run it.

Brian2's device is of the whole process, so whatever is C++ standalone runs in one of its own.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scripts
from brian2 import get_device, ms, nsiemens, nwatt, us, volt
from brian2.devices.device import RuntimeDevice

from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT
from mstpn.bridge.conversion import layer_parameters
from mstpn.network.brian import LayerParameters, MSTPNNetwork
from mstpn.network.replay import Replay
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import DeviceError, Memristor
from mstpn.synapses.write_limits import WriteLimits

EXAMPLE = scripts.FOLDER / "sweep_device.py"
T_STEP, N_FEATURES, N_HIDDEN, N_STEPS = 50 * ms, 30, 7, 60
CHANGES: dict[str, dict[str, Any]] = {
    "none": {},
    "bias_power": {"bias_power": 5 * nwatt},
    "read_duration": {"read_duration": 2 * us},
    "pulse_energy_exponent": {"pulse_energy_exponent": 3.0},
    "weight_conductance": {"weight_conductance": 8 * nsiemens},
    "decay_half_voltage": {"decay_half_voltage": 0.25 * volt},
    "decay_duration": {"decay_duration": 40 * ms},
}


@pytest.fixture(scope="session")
def device() -> Memristor:
    """Its Lambda refers to the step of these tests."""
    return Memristor.from_file().varied(decay_duration=T_STEP)


def parameters() -> LayerParameters:
    rng = np.random.default_rng(0)
    shape = (N_HIDDEN, N_FEATURES + N_HIDDEN)
    return LayerParameters(
        weight=rng.uniform(-0.4, 0.4, shape),
        decay=rng.uniform(0.1, 0.9, shape),
        gamma=rng.uniform(-0.3, 0.3, shape),
        bias=rng.uniform(-0.1, 0.1, N_HIDDEN),
        normalisation="l2",
        limits=WriteLimits(0.004, 0.05, -0.5, 0.5),
    )


def features() -> np.ndarray:
    rng = np.random.default_rng(1)
    shape = (N_STEPS, N_FEATURES)
    return rng.exponential(size=shape) * (rng.random(shape) < 0.3)


def without_feedback() -> LayerParameters:
    p = parameters()
    short = {name: getattr(p, name)[:, :N_FEATURES] for name in ("weight", "decay", "gamma")}
    return replace(p, **short, feedback=False)


def replayed(folder: Path) -> dict[str, Any]:
    """All devices by one program; runs in a process of its own."""
    device, found = Memristor.from_file().varied(decay_duration=T_STEP), {}
    with Replay(parameters(), device, T_STEP, features(), folder) as replay:
        for name, changes in CHANGES.items():
            run = replay.run(device.varied(**changes))
            energy = {term: float(e) for term, e in run.energy.items()}
            found[name] = {"h": run.h.tolist(), **energy, "worst": float(run.worst_case_bias)}
        with pytest.raises(ValueError, match=r"must lie in \[0\. V, 0\.4 V\], got 0\.42"):
            replay.run(device.varied(bias_voltage_max=0.4 * volt))
    assert isinstance(get_device(), RuntimeDevice)
    with Replay(
        without_feedback(), device, T_STEP, features(), folder / "without_feedback"
    ) as replay:
        found["without feedback"] = {"h": replay.run().h.tolist()}
    return found


def test_one_program_equals_a_network_of_each_device(tmp_path: Path, device: Memristor) -> None:
    done = subprocess.run(
        [sys.executable, __file__, tmp_path],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for name, changes in CHANGES.items():
        other = device.varied(**changes)
        # the same voltages held, so another device decays otherwise
        held = other.decay(device.bias_voltage(parameters().decay), T_STEP)
        net = MSTPNNetwork(replace(parameters(), decay=held), other, T_STEP)
        h = [net.step(x) for x in features()]
        # C++ sums z and multiplies in another order; feedback through h keeps it below 1e-12
        np.testing.assert_allclose(found[name]["h"], h, rtol=0, atol=1e-12)
        for term, energy in net.energy().items():
            assert found[name][term] == pytest.approx(float(energy), rel=1e-12), (name, term)
        worst = float(net.energy(worst_case=True)["bias"])
        assert found[name]["worst"] == pytest.approx(worst, rel=1e-12)
    for name in ("bias_power", "weight_conductance", "decay_half_voltage"):
        assert found[name]["bias"] != pytest.approx(found["none"]["bias"], rel=1e-4)
    assert found["read_duration"]["h"] == found["none"]["h"]
    assert found["decay_half_voltage"]["h"] != found["none"]["h"]


def test_the_sweep_moves_the_bias_energy_as_it_must(tmp_path: Path, device: Memristor) -> None:
    checkpoint = load_checkpoint(DEFAULT_CHECKPOINT)
    p = layer_parameters(checkpoint, device)
    rng = np.random.default_rng(2)
    x = 0.05 * rng.exponential(size=(20, p.n_features)) * (rng.random((20, p.n_features)) < 0.3)
    np.save(tmp_path / "x.npy", x)
    done = subprocess.run(
        [
            *(sys.executable, EXAMPLE, "--load", "x.npy", "--constant", "bias_power"),
            *("--values", "5", "4.3", "--json", "s.json", "--csv", "s.csv"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "s.json").read_text())
    first, second = result["rows"]
    assert (first["value"], second["value"], result["unit"]) == (4.3, 5.0, "nW")
    # G = P/V_max^2 + kappa S, S unmoved: V^2 dP/V_max^2 for the time of 20 steps of 4/60 s
    voltage = 0.3 + 0.12283266696153589 * np.log(p.decay / (1 - p.decay))  # srtio3.toml
    expected = 0.7e-9 * ((voltage / 0.6) ** 2).sum() * 20 * 4 / 60
    # float32 rounding of Lambda at the ends of its range, clipped by the device: below 1e-7
    assert second["bias_mj"] - first["bias_mj"] == pytest.approx(1e3 * expected, rel=1e-6)
    assert second["pulse_mj"] == pytest.approx(first["pulse_mj"], rel=1e-12)
    assert second["h_max_abs_difference"] < 1e-11  # currents rounded at another offset
    assert first["h_max_abs_difference"] == 0.0
    assert first["actions_equal"] == second["actions_equal"] == 1.0
    header, *lines = (tmp_path / "s.csv").read_text().splitlines()
    assert header.split(",") == list(first)
    assert len(lines) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"x.npy", "s.json", "s.csv"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--constant", "voltage", "--values", "1"], "argument --constant: invalid choice"),
        (["--constant", "bias_power"], "one of the arguments --values --range is required"),
        (["--constant", "bias_power", "--range", "1:2"], "must be LOW:HIGH:N with N > 0"),
        (["--constant", "bias_power", "--values", "-1"], "bias_power must be positive, got"),
        (["--constant", "bias_voltage_max", "--values", "0.17"], "bias_voltage must lie in [0. V"),
        (["--constant", "read_voltage", "--values", "1"], "features must have shape (T, 2592)"),
    ],
)
def test_bad_input_ends_with_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = 30 if "read_voltage" in arguments else 2592
    np.save(tmp_path / "x.npy", np.zeros((3, columns)))
    example = scripts.load("sweep_device")
    said = scripts.refusal(example, ["--load", str(tmp_path / "x.npy"), *arguments], capsys)
    assert message in said
    assert isinstance(get_device(), RuntimeDevice)


def test_a_varied_device_keeps_its_sigmoid(device: Memristor) -> None:
    other = device.varied(decay_slope_voltage=0.1 * volt)
    assert other.decay_max == pytest.approx(1 / (1 + np.exp(-3)), rel=1e-12)
    assert other.decay_min == pytest.approx(1 / (1 + np.exp(3)), rel=1e-12)
    assert device.varied() == device
    with pytest.raises(DeviceError, match=r"decay_max = 0\.5 contradicts the decay law"):
        device.varied(decay_max=0.5)
    with pytest.raises(DeviceError, match=r"constant must be one of bias_power, .*, got 'voltage'"):
        device.varied(voltage=1 * volt)


if __name__ == "__main__":
    print(json.dumps(replayed(Path(sys.argv[1]))))
