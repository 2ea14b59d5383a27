"""README's code runs, and its table names the options that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_python_blocks_run(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "dF = Gamma*h_post*z_last_pre" in printed
    assert re.search(r"'bias': .*joule", printed)


def test_option_table_is_complete() -> None:
    table = set(re.findall(r"`(--[a-z-]+)[ `]", README.split("| option |")[1].split("\n\n")[0]))
    source = (ROOT / "examples/pong_brian.py").read_text()
    assert table == set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', source))
