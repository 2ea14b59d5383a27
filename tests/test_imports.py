"""Imports point one way, and nothing heavy comes along."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "synapses": {"synapses"},
    "network": {"synapses", "network"},
    "bridge": {"synapses", "network", "bridge"},
    "analysis": {"synapses", "analysis"},
}
ROOMS = {
    "synapses.support": set(),
    "synapses": {"synapses.support"},
    "synapses.bench": {"synapses", "synapses.support"},
    "synapses.programming": {"synapses", "synapses.support"},
    "network.twin": {"network"},
    "network.retrieval": {"network", "network.twin"},
    "network.working_memory": {"network"},
    "bridge.checkpoints": set(),
    "bridge.training": set(),
    "bridge.watch": {"bridge"},
    "analysis.energy": set(),
    "analysis.pictures": {"analysis.energy"},
    "analysis.gpu": {"analysis.energy", "analysis.pictures"},
    "analysis.device": {"analysis.pictures"},
    "analysis.array": {"analysis.energy", "analysis.report"},
    "analysis.report": {"analysis.energy", "analysis.gpu", "analysis.pictures"},
}
"""What each may import of its own package, beside itself."""


def room(module: str) -> str:
    """The folder that a module of ours lies in, or is."""
    parts = module.removeprefix("mstpn.").split(".")
    return ".".join(parts[:2] if (ROOT / "/".join(parts[:2])).is_dir() else parts[:1])


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_one_way(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        names = imported(path)
        ours = {name for name in names if name.startswith("mstpn.")}
        assert {name.split(".")[1] for name in ours} <= ALLOWED[package], path
        here = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
        beside = {room(name) for name in ours if name.split(".")[1] == package} - {here}
        assert beside <= ROOMS.get(here, beside), path
        if package != "bridge":
            assert not {name.split(".")[0] for name in names} & {"ale_py", "gymnasium"}, path


def test_oracles_import_nothing_of_ours() -> None:
    assert not [n for n in imported(ROOT / "tests/oracles.py") if n.startswith("mstpn")]


def test_synapses_load_neither_torch_nor_the_emulator() -> None:
    code = (
        "import sys, mstpn.synapses.st_hebb\n"
        "assert not {'torch', 'ale_py', 'gymnasium', 'numba'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")


def test_play_loads_neither_torch_nor_what_draws_or_records() -> None:
    code = (
        "import sys, mstpn.commands.work.playing, mstpn.commands.work.scores\n"
        "from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT\n"
        "from mstpn.network.twin.checkpoint import load_checkpoint\n"
        "load_checkpoint(DEFAULT_CHECKPOINT)\n"
        "assert not {'torch', 'numba', 'xarray', 'mstpn.analysis.pictures'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")
