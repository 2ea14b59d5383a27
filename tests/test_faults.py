"""Files that are damaged or hostile, disks that are full, compilers that fail: one clear line."""

import os
import random
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fuzz
import numpy as np
import pytest
import torch
from brian2 import prefs
from brian2.units import ms

from mstpn.analysis.energy.ledger import ledger, load_recording, save
from mstpn.analysis.energy.recording import Recording, RecordingError
from mstpn.bridge.conversion import layer_parameters
from mstpn.network.twin.agent import MSTPN
from mstpn.network.twin.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from mstpn.network.twin.layer import TwinConfig
from mstpn.synapses.memristor import DEFAULT_DEVICE, DeviceError, Memristor
from mstpn.synapses.support import brian_target
from mstpn.synapses.write_limits import WriteLimits

ROOT = Path(__file__).parents[1]


@pytest.fixture
def agent_file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "agent.safetensors"
    limits = WriteLimits(delta_f_min=0.01, total_max=4.0)
    save_checkpoint(MSTPN(TwinConfig(4, 6, "none", 0.08, 0.92, limits)), path, {})
    return path


def refusals(
    path: Path, damage: fuzz.Damage, load: Callable[[], Any], error: type[Exception], n: int
) -> list[str]:
    """Messages of `n` seeded damages; anything but this error, or no error, fails."""
    content, said = path.read_bytes(), []
    for seed in range(n):
        path.write_bytes(damage(content, random.Random(seed)))
        try:
            load()
        except error as refusal:
            said.append(str(refusal))
    path.write_bytes(content)
    return said


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [(".safetensors", fuzz.hostile_safetensors), (".json", fuzz.hostile_json)],
)
def test_hostile_checkpoints_are_refused_in_one_line(
    suffix: str, damage: fuzz.Damage, agent_file: Path, device: Memristor
) -> None:
    def load() -> None:
        parameters = layer_parameters(load_checkpoint(agent_file), device)
        for name in ("weight", "decay", "gamma", "bias"):
            assert np.isfinite(getattr(parameters, name)).all()

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = refusals(agent_file.with_suffix(suffix), damage, load, CheckpointError, 1000)
    assert len(said) > 500
    assert max(len(text.splitlines()) for text in said) == 1
    assert max(map(len, said)) < 600
    # no header made room for what it claims: the shapes asked for go to 2^62
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB
    load()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('"x"', "config: must be an object, got 'x'"),
        ('{"n_hidden": 1e3}', "config: "),
        ("[" * 100_000 + "]" * 100_000, "maximum recursion depth"),
    ],
)
def test_hostile_configurations(config: str, message: str, agent_file: Path) -> None:
    agent_file.with_suffix(".json").write_text(f'{{"format": 1, "config": {config}}}')
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(agent_file)


@pytest.mark.parametrize("size", [0, -1, 2**40, 4.0, True, "4"])
def test_sizes_of_a_network(size: Any) -> None:
    with pytest.raises(ValueError, match=r"n_hidden must be an integer in \[1, 16384\], got"):
        TwinConfig(size, 6, "none", 0.08, 0.92)


def hostile_toml(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return fuzz.damaged_bytes(content, rng)
    lines = content.decode().splitlines()
    number = rng.choice([k for k, line in enumerate(lines) if " = " in line and line[0] != "#"])
    value = rng.choice(
        [
            *("nan", "inf", "-1", "0", "1e308", "1e-320", "9" * 400, "0x7fffffffffffffff"),
            *('"x"', "[]", "{}", "true", '["V"]', "1979-05-27", "[" * 3000 + "]" * 3000),
            *('"' + "x" * 100_000 + '"', repr(10 ** rng.uniform(-300, 300))),
        ]
    )
    lines[number] = f"{lines[number].split('=')[0]}= {value}"
    return "\n".join(lines).encode()


@pytest.mark.filterwarnings("error")
def test_hostile_device_files_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "device.toml"
    path.write_bytes(DEFAULT_DEVICE.read_bytes())

    def load() -> None:
        device = Memristor.from_file(path)
        assert device.weight_min < device.weight_max < np.inf
        assert 0 < device.write_limits().delta_f_min <= device.delta_f_max < np.inf
        assert 0 < float(device.offset_conductance) < np.inf

    said = refusals(path, hostile_toml, load, DeviceError, 1000)
    assert len(said) > 500
    assert max(len(text.splitlines()) for text in said) == 1
    assert max(map(len, said)) < 600


def small_recording() -> Recording:
    rng = np.random.default_rng(0)
    count = rng.integers(1, 5, 20)
    return Recording(
        weight=rng.uniform(-0.5, 0.5, (12, 4)),
        decay=rng.uniform(0.1, 0.9, (12, 4)),
        gamma=rng.uniform(-0.01, 0.01, (12, 4)),
        step_duration=50 * ms,
        h=rng.uniform(-1, 1, (20, 4)),
        event_count=count,
        event_unit=np.concatenate([np.arange(n) for n in count]),
        event_z=rng.uniform(0.1, 1, count.sum()),
        attributes={"seed": "7"},
    )


def test_damage_to_a_ledger_is_noticed_and_said_in_one_line(
    device: Memristor, tmp_path: Path
) -> None:
    path, whole = tmp_path / "game.nc", small_recording()
    save(ledger(whole, device, device.bias_voltage(whole.decay)), path)

    def load() -> None:  # damage to what is counted anew is not in the recording
        assert load_recording(path).digest() == whole.digest()

    said = refusals(path, fuzz.damaged_bytes, load, RecordingError, 100)
    assert len(said) > 50
    assert max(len(text.splitlines()) for text in said) == 1


CODEGEN = """
from brian2 import NeuronGroup, Network, prefs, second
from mstpn.synapses.support.brian_target import compiled
class Small:
    def __init__(self):
        self.group = NeuronGroup(2, "x : 1", name="small")
        self.group.run_regularly("x += {unlike}")
        self.net = Network(self.group)
    def prepare(self):
        self.net.run(0*second, namespace={{}})
small = compiled("{target}", Small)
small.net.run(small.group.clock.dt, namespace={{}})
print(prefs.codegen.target, small.group.x[0])
"""


def run_small(
    unlike: float, folder: Path, target: str = "auto", **environment: str
) -> tuple[int, str, list[str]]:
    """Status, output and the lines on stderr of a small network, on a cache of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CODEGEN.format(unlike=unlike, target=target)],
        env=os.environ | {"HOME": str(folder)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.strip(), done.stderr.splitlines()


def failing_compiler(folder: Path, works: int) -> str:
    """A compiler that makes so many objects and links, and then no more."""
    path = folder / "compiler"
    path.write_text(
        "#!/bin/sh\n"
        'case "$*" in *flag_test*) exec c++ "$@";; esac\n'  # Brian2 asks what it understands
        f"echo x >> {folder}/calls\n"
        f'[ "$(wc -l < {folder}/calls)" -le {works} ] && exec c++ "$@"\n'
        "exit 1\n"
    )
    path.chmod(0o755)
    return str(path)


def test_a_compiler_that_fails_after_its_trial_leaves_numpy(tmp_path: Path) -> None:
    compiler = failing_compiler(tmp_path, works=2)  # compiles and links the trial
    status, out, said = run_small(1.5, tmp_path, CC=compiler, CXX=compiler)
    assert (status, out) == (0, "numpy 1.5")
    ours = [line for line in said if "numpy target" in line]
    assert len(ours) == 1
    assert ours[0].startswith("Compiling failed (CompileError: ")


def test_cython_that_was_asked_for_is_not_replaced(tmp_path: Path) -> None:
    compiler = failing_compiler(tmp_path, works=2)
    status, _, said = run_small(1.25, tmp_path, "cython", CC=compiler, CXX=compiler)
    assert status == 1
    assert said[-1].startswith("ValueError: target cython: Compiling failed (CompileError: ")


def test_a_home_that_cannot_be_written_costs_the_cache_alone(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file, where not even root can make a folder")
    status, out, said = run_small(1.75, tmp_path / "home")
    assert (status, out) == (0, "cython 1.75")
    assert [line for line in said if "cache of compiled code cannot be used here" in line]


def test_each_kind_of_processor_has_a_cache_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    where = "codegen.runtime.cython.cache_dir"
    monkeypatch.setattr(brian_target, "_compiles", lambda: True)
    folders = []
    for kind in ("one", "other"):
        monkeypatch.setitem(prefs, where, None)
        monkeypatch.setattr(brian_target, "processor", lambda kind=kind: kind)
        brian_target.use_target("cython")
        folders.append(Path(prefs[where]))
    assert [folder.name for folder in folders] == ["one", "other"]
    assert len({folder.parent for folder in folders}) == 1
    monkeypatch.setitem(prefs, where, "mine")
    brian_target.use_target("cython")
    assert prefs[where] == "mine"
