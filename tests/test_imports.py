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
EMULATOR_USERS = {"bridge/pong.py", "network/evaluate.py"}


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
        ours = {name.split(".")[1] for name in imported(path) if name.startswith("mstpn.")}
        assert ours <= ALLOWED[package], path
        if str(path.relative_to(ROOT)) not in EMULATOR_USERS:
            assert not {n.split(".")[0] for n in imported(path)} & {"ale_py", "gymnasium"}, path


def test_oracles_import_nothing_of_ours() -> None:
    assert not [n for n in imported(ROOT / "tests/oracles.py") if n.startswith("mstpn")]


def test_synapses_load_neither_torch_nor_the_emulator() -> None:
    code = (
        "import sys, mstpn.synapses.st_hebb\n"
        "assert not {'torch', 'ale_py', 'gymnasium', 'numba'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")
