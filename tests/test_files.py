"""Where what a program writes goes, and how."""

import argparse
import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from mstpn.synapses.support.command_line import writable
from mstpn.synapses.support.files import atomic_write, json_text, write_json
from mstpn.synapses.support.tidy import csv_text, read_rows


def test_json_is_json() -> None:
    content = {"a": [math.nan, 1.5, (math.inf, "x")], "b": {"c": -math.inf, "d": None}}
    read = json.loads(json_text(content), parse_constant=lambda name: pytest.fail(name))
    assert read == {"a": [None, 1.5, [None, "x"]], "b": {"c": None, "d": None}}


def test_a_link_is_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "there" / "file.json", tmp_path / "link.json"
    target.parent.mkdir()
    target.write_text("old")
    link.symlink_to(target)
    write_json(link, {"a": 1})
    assert link.is_symlink()
    assert json.loads(target.read_text()) == {"a": 1}
    assert {p.name for p in tmp_path.rglob("*")} == {"there", "file.json", "link.json"}


def test_a_pipe_is_given_the_content_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    atomic_write(pipe, b"content")
    reader.join(10)
    assert read == [b"content"]
    assert pipe.is_fifo()


def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    atomic_write(Path(os.devnull), b"content")
    assert Path(os.devnull).is_char_device()
    assert not list(tmp_path.iterdir())


def test_a_pipe_is_a_place_to_write_and_nothing_is_tried_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setattr(Path, "touch", lambda *_, **__: pytest.fail("touched a file beside it"))
    assert writable(str(pipe)) == pipe
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(argparse.ArgumentTypeError, match=r"cannot write .*pipe: Permission denied"):
        writable(str(pipe))


def test_a_terminal_that_lacks_a_letter_shows_another() -> None:
    code = (
        "import sys\n"
        "from mstpn.synapses.support.command_line import exit_status\n"
        "sys.exit(exit_status('x', lambda: print('chi: \\u03c7, end')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "cp1252"},
    )
    assert done.stdout == b"chi: ?, end\n"


def test_kernels_compile_where_no_cache_can_be(tmp_path: Path) -> None:
    code = (
        "import numba.core.caching as c\n"
        "c.CacheImpl._locator_classes = []\n"  # as where nothing can be written
        "from mstpn.synapses.compiled import compiled\n"
        "print(compiled()(lambda x: 2 * x)(21))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout == "42\n"


@dataclass
class Row:
    """Of a table."""

    name: str
    games: int
    score: float


ROWS = [Row("as it is", 3, 17.5), Row("Gamma = 0, all", 2, -20.25)]


@pytest.mark.parametrize(
    "saved",
    [
        lambda t: t,
        lambda t: "\ufeff" + t.replace("\n", "\r\n"),
        lambda t: t + ",,\n,,\n",
        lambda t: 'score;"name";games\n17,5;"as it is";3\n-20,25;"Gamma = 0, all";2\n',
        lambda t: "name\tgames\tscore\nas it is\t3\t17.5\nGamma = 0, all\t2\t-20.25\n",
    ],
)
def test_tables_that_a_spreadsheet_saved_are_read(
    saved: Callable[[str], str], tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(saved(csv_text([asdict(row) for row in ROWS])).encode())
    assert read_rows(path, Row) == ROWS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name,games\nx,1\n", "table.csv, line 2: no column 'score'"),
        (b"name,games,score\nx,1.5,2\n", "table.csv, line 2: invalid literal"),
        (b"name,games,score\nx,1\n", "table.csv, line 2: "),
        (b"name,games,score\nx,1,\xff\n", "table.csv is no text in UTF-8"),
    ],
)
def test_damage_to_a_table_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_rows(path, Row)
