"""Run the programs in this process."""

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from mstpn.synapses.memristor import DEFAULT_DEVICE

FOLDER = Path(__file__).parents[1] / "examples"


def load(name: str) -> ModuleType:
    """Import a program by the name of its module."""
    return importlib.import_module(f"mstpn.commands.{name}")


def uninstall(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a package look as if it were not installed."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == module else found(name)
    )


def refusal(example: ModuleType, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a program that must end with status 2 and one line; return that line."""
    try:
        status = example.main(arguments)
    except SystemExit as stop:
        status = stop.code
    printed = capsys.readouterr()
    assert status == 2
    assert printed.err.count("\n") == 1
    assert not printed.out
    return printed.err


def device_file(folder: Path, **values: float) -> Path:
    """The shipped device with other values."""
    text = DEFAULT_DEVICE.read_text()
    for name, value in values.items():
        text, n = re.subn(rf"(\[{name}\]\nvalue = )[\d.]+", rf"\g<1>{value}", text)
        assert n == 1
    path = folder / "device.toml"
    path.write_text(text)
    return path
