"""The code of README and of the pages runs; the table of options is whole; links lead somewhere."""

import math
import re
from pathlib import Path
from typing import Any

import oracles
import pytest
import scripts
from brian2.units import joule, siemens

from mstpn.commands.main import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: p.name)
def test_python_blocks_run(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for block in blocks(page):
        exec(compile(block, page.name, "exec"), names)
    printed = capsys.readouterr().out
    if page.name in ("README.md", "synapse.md"):
        assert "wanted = Gamma*h_post*z_last_pre" in printed
    if page.name == "synapse.md":
        assert re.search(r"'bias': .*joule", printed)
    if page.name == "devices.md":
        shown = dict(re.findall(r"^(device\.[^#]+?)  # ([\d.]+)", "".join(blocks(page)), re.M))
        assert len(shown) == 8
        for expression, value in shown.items():
            found = float(eval(expression, names))  # as the comment beside it says
            assert found == pytest.approx(float(value), rel=0.02), expression


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_files_that_pages_name_are_there(page: Path) -> None:
    text = page.read_text()
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", text):
        target = page.parent / link
        beside = [target, target.with_name(target.name + ".ipynb"), target.with_suffix(".md")]
        named = [b for b in beside if b.exists()]
        at_root = (ROOT / link).exists() or link.startswith(("generated/", "notebooks/"))
        assert named or at_root, link


def test_readme_is_a_page() -> None:
    assert len(README.splitlines()) <= 150


def test_commands_that_pages_show_are_understood() -> None:
    for page in PAGES:
        for name in re.findall(r"mstpn ([a-z][a-z-]+) --", page.read_text()):
            assert name in COMMANDS, f"{page.name}: mstpn {name}"


def test_one_synapse(numbers: oracles.Device) -> None:
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0], names)  # ΔF: a reference pulse's
    synapse = names["synapse"]
    decay = 1 / (1 + math.exp(-(0.5 - 0.3) / 0.12283266696153589))  # srtio3.toml
    rate, elapsed = math.log(1 / decay) * 15, 0.55
    left = 0.1 * math.exp(-rate * elapsed)
    assert synapse.F_now[0] == pytest.approx(left, rel=1e-9, abs=0)
    conductance = numbers.g_offset + numbers.kappa * (0.8 + left)
    assert synapse.G[0] / siemens == pytest.approx(conductance, rel=1e-9, abs=0)
    assert synapse.E_pulse[0] / joule == pytest.approx(numbers.e_pulse, rel=1e-9, abs=0)
    static = (numbers.g_offset + 0.8 * numbers.kappa) * elapsed
    spent = 0.5**2 * (static + numbers.kappa * (0.1 - left) / rate)
    assert synapse.E_bias[0] / joule == pytest.approx(spent, rel=1e-9, abs=0)


def test_option_table_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs/play.md").read_text()
    table = set(re.findall(r"`(--[a-z-]+)[ `]", page.split("| option |")[1].split("\n\n")[0]))
    with pytest.raises(SystemExit):
        scripts.load("pong").main(["--help"])
    listed = re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE)
    assert table == set(listed)
