"""Sphinx configuration; builds offline and without warnings: `make docs`."""

import base64
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from textwrap import dedent
from typing import Any

from brian2 import Equations
from sphinx.application import Sphinx

from mstpn import __version__
from mstpn.commands.main import COMMANDS
from mstpn.synapses.memristor import DEFAULT_DEVICE

HERE = Path(__file__).parent
THUMBNAILS = {
    "equation_tour": 0,
    "own_model": 1,
    "one_memristor": 2,
    "game_energy": 1,
    "short_term_memory": 1,
    "your_device": 1,
}
"""Notebooks in the gallery, with the number of the picture that stands for each."""

project = "mstpn"
author = "The mstpn authors"
project_copyright = "2026, The mstpn authors"
version = release = __version__
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "myst_nb",
    "numpydoc",
    "sphinx_design",
    "sphinx-mathjax-offline",  # math is set without a network too
]
exclude_patterns = ["_build", "notebooks/*.py", "notebooks/.ipynb_checkpoints"]
templates_path = ["_templates"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["wide.css"]  # code has up to 100 characters a line
html_title = f"mstpn {version}"
default_role = "py:obj"  # `name` in a docstring is a link where there is one

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_preserve_defaults = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"  # the docstrings say them, with units and shapes
numpydoc_show_class_members = False  # autodoc does
numpydoc_class_members_toctree = False
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # they are kept executed


def links_from_here(_app: Sphinx, path: Path, _parent: str, content: list[str]) -> None:
    """Links of a page at the root of the repository, as they are in this folder."""

    def seen(link: re.Match[str]) -> str:
        target = re.sub("^examples/(?=notebooks/)", "", link[1].removeprefix("docs/"))
        if target == link[1]:
            target = target.lower() if target.endswith(".md") else f"../{target}"
        return f"]({target.removesuffix('.ipynb')})"  # a document's name

    if path.parent.name == "..":
        content[0] = re.sub(r"\]\((?!https?:|#)([^)]+)\)", seen, content[0])


def show_code(
    _app: Sphinx, what: str, _name: str, value: Any, _options: Any, lines: list[str]
) -> None:
    """Equations and event code are shown as they are."""
    if what == "data" and isinstance(value, Equations | str) and "\n" in str(value):
        code = [f"   {line}" for line in dedent(str(value)).strip().splitlines()]
        lines += ["", ".. code-block:: none", "", *code, ""]


def escape_bars(
    _app: Sphinx, _what: str, _name: str, _value: Any, _options: Any, lines: list[str]
) -> None:
    """Bars in a docstring are absolute values, not substitutions; literal blocks stay."""
    literal = None
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if literal is not None and line.strip() and indent <= literal:
            literal = None
        if literal is None:
            lines[number] = line.replace("|", r"\|")
            literal = indent if line.endswith("::") else None


def draw_thumbnails(_app: Sphinx) -> None:
    """Take a picture out of every notebook for the gallery."""
    folder = HERE / "_build/thumbnails"
    folder.mkdir(parents=True, exist_ok=True)
    for name, number in THUMBNAILS.items():
        notebook = json.loads((HERE / f"notebooks/{name}.ipynb").read_text())
        outputs = [o for cell in notebook["cells"] for o in cell.get("outputs", ())]
        pictures = [o["data"]["image/png"] for o in outputs if "image/png" in o.get("data", {})]
        (folder / f"{name}.png").write_bytes(base64.b64decode(pictures[number]))


def write_commands(_app: Sphinx) -> None:
    """A page of what every command says of its options."""
    page = [
        "# Commands",
        "",
        "`python -m mstpn` is the same; most are scripts in `examples/`.",
        "",
    ]
    environment = os.environ | {"COLUMNS": "96", "NO_COLOR": "1"}
    for name, command in COMMANDS.items():
        shown = subprocess.run(
            [sys.executable, "-m", "mstpn", name, "--help"],
            check=True,
            capture_output=True,
            text=True,
            env=environment,
        ).stdout
        page += [
            f"## mstpn {name}",
            "",
            f"{command.what}.".capitalize(),
            "",
            "```none",
            shown,
            "```",
            "",
        ]
    _write("commands", page)


def write_constants(_app: Sphinx) -> None:
    """A page of the device's constants, each with its source."""
    with DEFAULT_DEVICE.open("rb") as file:
        content = tomllib.load(file)
    page = [
        "# Constants of the device",
        "",
        f"Those of {content.pop('name')}, in [`synapses/srtio3.toml`](../../synapses/srtio3.toml).",
        "Provenance: *paper*, read in its abstract and captions; *digest*, in notes on all of it;",
        "*derived* from such; *assumed*, this package's choice.",
        "",
        "| constant | value | provenance | source |",
        "|---|---|---|---|",
    ]
    for name, entry in content.items():
        source = str(entry["source"]).replace("|", "\\|")
        unit = "" if entry["unit"] == "1" else f" {entry['unit']}"
        page.append(f"| `{name}` | {entry['value']:g}{unit} | {entry['provenance']} | {source} |")
    _write("constants", page)


def _write(name: str, page: list[str]) -> None:
    folder = HERE / "generated"
    folder.mkdir(exist_ok=True)
    text = "\n".join(page) + "\n"
    path = folder / f"{name}.md"
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def setup(app: Sphinx) -> None:
    """Connect the functions above."""
    app.connect("include-read", links_from_here)
    app.connect("autodoc-process-docstring", escape_bars)
    app.connect("autodoc-process-docstring", show_code)
    for write in (draw_thumbnails, write_commands, write_constants):
        app.connect("builder-inited", write)
