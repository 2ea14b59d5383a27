"""Checkpoints keep every bit; damaged ones are refused by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brian2.units import nsiemens
from safetensors.numpy import load_file, save_file

from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT, MEMORY_CHECKPOINT
from mstpn.bridge.conversion import layer_parameters
from mstpn.network.brian import MSTPNNetwork
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.agent import MSTPN
from mstpn.network.twin.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from mstpn.network.twin.layer import TwinConfig
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.files import atomic_write
from mstpn.synapses.write_limits import WriteLimits

Tensors = dict[str, Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    made = tmp_path / "agent.safetensors"
    save_checkpoint(MSTPN(TwinConfig(5, 6, "none", 0.08, 0.92)), made, {"seed": 0})
    return made


def test_twin_of_a_checkpoint_is_the_twin_that_was_saved(tmp_path: Path) -> None:
    torch.manual_seed(1)
    limits = WriteLimits(delta_f_min=0.01, total_max=4.0)
    net = MSTPN(TwinConfig(5, 6, "l2", 0.08, 0.92, limits))
    save_checkpoint(net, tmp_path / "a.safetensors", {})
    back = load_checkpoint(tmp_path / "a.safetensors").twin()
    for name, value in net.state_dict().items():
        if name != "layer.decay_logit":
            torch.testing.assert_close(back.state_dict()[name], value, rtol=0, atol=0)
    # Lambda is stored in float32 and its logit rebuilt from it
    torch.testing.assert_close(back.layer.decay, net.layer.decay, rtol=0, atol=2.0**-22)
    assert back.config == net.config


def test_metadata_says_shapes_units_and_versions(path: Path) -> None:
    metadata = json.loads(path.with_suffix(".json").read_text())
    assert metadata["tensors"]["layer.decay"] == {
        "shape": [5, 2597],
        "unit": "1 per network step",
    }
    assert metadata["versions"].keys() >= {"python", "torch", "numpy", "ale-py", "mstpn"}


def test_saving_leaves_no_partial_file(path: Path) -> None:
    assert {p.name for p in path.parent.iterdir()} == {"agent.safetensors", "agent.json"}


def test_a_failed_write_keeps_the_old_file(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(TypeError):
        atomic_write(path, "no bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 2


def drop(t: Tensors) -> None:
    del t["layer.gamma"]


def add(t: Tensors) -> None:
    t["layer.extra"] = t["layer.bias"]


def transpose(t: Tensors) -> None:
    t["layer.weight"] = np.ascontiguousarray(t["layer.weight"].T)


def poison(t: Tensors) -> None:
    t["layer.weight"][2, 7] = np.nan


def widen(t: Tensors) -> None:
    t["layer.bias"] = t["layer.bias"].astype(np.float64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop, "missing tensor 'layer.gamma'"),
        (add, "unknown tensor 'layer.extra'"),
        (transpose, "layer.weight must have shape (5, 2597), got (2597, 5)"),
        (poison, "layer.weight must be finite, got NaN or infinity"),
        (widen, "layer.bias must be float32, got F64"),
    ],
)
def test_wrong_tensors_are_refused(
    path: Path, change: Callable[[Tensors], None], message: str
) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path)
    assert message in str(error.value)


def test_truncated_and_missing_files_are_refused(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r"agent\.safetensors"):
        load_checkpoint(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(CheckpointError, match=r"agent\.json: No such file"):
        load_checkpoint(path)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"agent\.safetensors: no such file"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "agent.json"),
        ("[]", "'format' must be 1"),
        ('{"format": 2}', "'format' must be 1"),
        ('{"format": 1}', "config"),
        ('{"format": 1, "config": {"n_hidden": 5}}', "config"),
    ],
)
def test_wrong_metadata_is_refused(path: Path, content: str, message: str) -> None:
    path.with_suffix(".json").write_text(content)
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path)
    assert message in str(error.value)


@pytest.mark.parametrize("feedback", [True, False])
def test_tensors_of_an_agent_are_those_of_torch(path: Path, feedback: bool) -> None:
    net = MSTPN(TwinConfig(5, 6, "none", 0.08, 0.92, feedback=feedback))
    save_checkpoint(net, path, {})
    found, expected = load_checkpoint(path), load_checkpoint(path, lambda _: net)
    assert found.config == expected.config
    assert found.tensors.keys() == expected.tensors.keys()
    for name, value in found.tensors.items():
        np.testing.assert_array_equal(value, expected.tensors[name])


def test_conversion_to_conductances_and_voltages(path: Path, device: Memristor) -> None:
    checkpoint = load_checkpoint(path)
    network = MSTPNNetwork(layer_parameters(checkpoint, device), device, STEP_DURATION)
    expected = 4.3 / 0.36 + 10 * checkpoint.tensors["layer.weight"].astype(float).T
    found = np.array(network.synapses.G[:] / nsiemens).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    decay = checkpoint.tensors["layer.decay"].astype(float).T
    expected = np.clip(0.3 + 0.12283266696153589 * np.log(decay / (1 - decay)), 0, 0.6)
    np.testing.assert_allclose(network.of_synapses("V_bias"), expected, rtol=0, atol=1e-12)


def test_values_outside_the_device_are_refused_by_name(path: Path, device: Memristor) -> None:
    checkpoint = load_checkpoint(path)
    checkpoint.tensors["layer.weight"][3, 4] = 7.0
    with pytest.raises(CheckpointError, match=r"layer\.weight\[3, 4\] = 7 is outside the device's"):
        layer_parameters(checkpoint, device)
    checkpoint.tensors["layer.weight"][3, 4] = 0.0
    checkpoint.tensors["layer.decay"][1, 2] = 0.95
    with pytest.raises(CheckpointError, match=r"layer\.decay\[1, 2\] = 0\.95 is outside"):
        layer_parameters(checkpoint, device)


@pytest.mark.parametrize(
    ("shipped", "n_synapses"), [(DEFAULT_CHECKPOINT, 169_984), (MEMORY_CHECKPOINT, 165_888)]
)
def test_shipped_checkpoints_fit_the_device(
    shipped: Path, n_synapses: int, device: Memristor
) -> None:
    checkpoint = load_checkpoint(shipped)
    p = layer_parameters(checkpoint, device)
    assert p.weight.size == n_synapses
    assert checkpoint.config.limits == device.write_limits()
    assert checkpoint.config.bias_lines in ("neuron", "input", "block", "array")
    assert checkpoint.config.decay_min == device.decay_min
    assert checkpoint.config.decay_max == device.decay_max
    assert "train" in checkpoint.metadata["training"]["command"]


def test_a_checkpoint_of_version_0_1_is_the_ideal_agent_that_it_was(tmp_path: Path) -> None:
    net = MSTPN(TwinConfig(3, 6, "none", 0.08, 0.92))
    path = tmp_path / "old.safetensors"
    save_checkpoint(net, path, {})
    metadata = json.loads(path.with_suffix(".json").read_text())
    for name in ("bias_lines", "feedback"):  # which it did not know
        del metadata["config"][name]
    path.with_suffix(".json").write_text(json.dumps(metadata))
    config = load_checkpoint(path).config
    assert config == net.config
    assert (config.limits, config.bias_lines, config.feedback) == (None, "synapse", True)
    for field, value in (("bias_lines", "row"), ("feedback", 1)):
        metadata["config"][field] = value
        path.with_suffix(".json").write_text(json.dumps(metadata))
        with pytest.raises(CheckpointError, match=f"config: {field} must be"):
            load_checkpoint(path)
        del metadata["config"][field]


@pytest.mark.parametrize("bias_lines", ["synapse", "neuron", "input", "block", "array"])
@pytest.mark.parametrize("feedback", [True, False])
def test_lambda_of_the_lines_comes_back(tmp_path: Path, bias_lines: str, feedback: bool) -> None:
    net = MSTPN(TwinConfig(3, 6, "none", 0.08, 0.92, None, bias_lines, feedback))
    path = tmp_path / "lines.safetensors"
    save_checkpoint(net, path, {})
    stored = load_file(path)["layer.decay"]
    assert stored.shape == net.layer.weight.shape
    np.testing.assert_array_equal(stored, net.layer.decay.detach().numpy())
    back = load_checkpoint(path).twin()
    assert back.config == net.config
    # logit and sigmoid in float32
    torch.testing.assert_close(back.layer.decay_lines, net.layer.decay_lines, rtol=0, atol=2e-7)
