"""README's code runs, and its table names the options that there are."""

import math
import re
from pathlib import Path
from typing import Any

import oracles
import pytest
import scripts
from brian2.units import joule, siemens

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_python_blocks_run(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 3
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "dF = pulse_gain*Gamma*h_post*z_last_pre" in printed
    assert re.search(r"'bias': .*joule", printed)


def test_one_synapse(numbers: oracles.Device) -> None:
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0], names)  # ΔF: a reference pulse's
    synapse = names["synapse"]
    decay = 1 / (1 + math.exp(-(0.5 - 0.3) / 0.12283266696153589))  # srtio3.toml
    rate, elapsed = math.log(1 / decay) / 0.05, 0.55
    left = 0.1 * math.exp(-rate * elapsed)
    assert synapse.F_now[0] == pytest.approx(left, rel=1e-9, abs=0)
    conductance = numbers.g_offset + numbers.kappa * (0.8 + left)
    assert synapse.G[0] / siemens == pytest.approx(conductance, rel=1e-9, abs=0)
    assert synapse.E_pulse[0] / joule == pytest.approx(numbers.e_pulse, rel=1e-9, abs=0)
    static = (numbers.g_offset + 0.8 * numbers.kappa) * elapsed
    spent = 0.5**2 * (static + numbers.kappa * (0.1 - left) / rate)
    assert synapse.E_bias[0] / joule == pytest.approx(spent, rel=1e-9, abs=0)


def test_option_table_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    table = set(re.findall(r"`(--[a-z-]+)[ `]", README.split("| option |")[1].split("\n\n")[0]))
    with pytest.raises(SystemExit):
        scripts.load("pong_brian").main(["--help"])
    listed = re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE)
    assert table == set(listed)
