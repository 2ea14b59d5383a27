"""Each notebook is its .py, executed; the site builds. `make test` runs the notebooks as well."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples/notebooks").glob("*.py"))


def test_there_are_pairs_only() -> None:
    assert NOTEBOOKS
    assert sorted((ROOT / "examples/notebooks").glob("*.ipynb")) == [
        path.with_suffix(".ipynb") for path in NOTEBOOKS
    ]


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_pair_is_in_sync(source: Path) -> None:
    jupytext = pytest.importorskip("jupytext")
    pair = [jupytext.read(path).cells for path in (source, source.with_suffix(".ipynb"))]
    written, shown = ([(cell.cell_type, cell.source) for cell in cells] for cells in pair)
    assert shown == written, "run `make notebooks`"
    code = [cell for cell in pair[1] if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_jupytext_round_trip(source: Path) -> None:
    pytest.importorskip("jupytext")
    command = [sys.executable, "-m", "jupytext", "--test", "--to", "py:percent"]
    subprocess.run([*command, source.with_suffix(".ipynb")], check=True)


def test_site_builds_without_warnings(tmp_path: Path) -> None:
    pytest.importorskip("myst_nb")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "dummy"),
            *("-d", tmp_path / "doctrees", ROOT / "docs", tmp_path / "site"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_gallery_shows_every_notebook() -> None:
    gallery = (ROOT / "docs/gallery.md").read_text()
    names = {path.stem for path in NOTEBOOKS}
    for pattern in (r"^:link: notebooks/(\w+)$", r"^notebooks/(\w+)$", r"thumbnails/(\w+)\.png$"):
        assert set(re.findall(pattern, gallery, re.MULTILINE)) == names
