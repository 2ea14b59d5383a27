"""Write every notebook anew from its .py, executed.

    python docs/execute_notebooks.py [NAME ...]

Cells get plain ids and no times, so that a notebook changes only where its source or its
results do.
"""

import sys
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from tqdm import tqdm

from mstpn.synapses.support.files import replacing

NOTEBOOKS = Path(__file__).parents[1] / "examples/notebooks"


def execute(source: Path) -> None:
    """Execute one notebook in its own folder and write its .ipynb."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    place = {"metadata": {"path": str(source.parent)}}
    NotebookClient(notebook, timeout=600, record_timing=False, resources=place).execute()
    with replacing(source.with_suffix(".ipynb")) as partial:
        jupytext.write(notebook, partial)


def main(names: list[str]) -> None:
    """Execute the notebooks of these names, or all."""
    sources = [NOTEBOOKS / f"{name}.py" for name in names] or sorted(NOTEBOOKS.glob("*.py"))
    for source in tqdm(sources, desc="executing", unit="notebook"):
        execute(source)


if __name__ == "__main__":
    main(sys.argv[1:])
