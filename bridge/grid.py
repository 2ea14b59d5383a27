"""A grid of independent games: played side by side, each a row of a table as soon as it ends."""

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from mstpn.bridge.runner import run_all
from mstpn.synapses.support.files import replacing
from mstpn.synapses.support.tidy import csv_text, read_rows

__all__ = ["digest_of", "games_each", "play_missing"]

Cell = TypeVar("Cell", bound=Hashable)
Row = TypeVar("Row")


def digest_of(content: bytes) -> str:
    """What a row's `inputs` says of the agent, the device and the games that it is of."""
    return hashlib.sha256(content).hexdigest()[:12]


def games_each(kinds: Iterable[Hashable]) -> str:
    """How many games there are of each kind, such as 3, or 3-5, from the kind of every game."""
    counts = Counter(kinds).values()
    return "-".join(dict.fromkeys(str(n) for n in (min(counts), max(counts))))


def play_missing(
    cells: Sequence[Cell],
    play: Callable[[Cell], Row],
    out: Path,
    row_type: type[Row],
    *,
    cell_of: Callable[[Row], Cell],
    inputs: Callable[[Cell], str | None],
    describe: Callable[[Row], str],
    processes: int = 1,
    address: str | None = None,
) -> list[Row]:
    """Play what a table lacks; every finished game is in the file at once.

    Parameters
    ----------
    cells : sequence
        Games of the grid, in the order of the table; rows of others are kept behind them.
    play : callable
        From a cell to its row, as for `run_all`.
    out : Path
        The table, CSV; it may be there already.
    row_type : type
        Dataclass of a row, with a field `inputs`.
    cell_of : callable
        The cell of a row.
    inputs : callable
        From a cell to what its row's `inputs` must be, None for anything: tells apart tables of
        other agents or devices.
    describe : callable
        A row in a few words, for the progress bar.
    processes, address
        As for `run_all`.

    Raises
    ------
    ValueError
        If the table is damaged, or of other inputs, or games failed: all others are in the file
        then.
    """
    rows: list[Any] = read_rows(out, row_type) if out.exists() else []
    if any(inputs(cell_of(row)) not in (None, row.inputs) for row in rows):
        raise ValueError(f"{out} is of another checkpoint or device, give another --out")
    order = {cell: k for k, cell in enumerate(cells)}
    have = {cell_of(row) for row in rows}
    todo = [cell for cell in cells if cell not in have]
    failed = []
    with tqdm(total=len(cells), initial=len(cells) - len(todo), unit="game", disable=None) as bar:
        for done in run_all(todo, play, processes=processes, address=address):
            if done.result is None:
                failed.append(done)
                continue
            rows.append(done.result)
            rows.sort(key=lambda r: order.get(cell_of(r), len(order)))
            with replacing(out) as partial:
                partial.write_bytes(csv_text([asdict(r) for r in rows]).encode())
            bar.set_postfix_str(describe(done.result))
            bar.update()
    if failed:
        first = failed[0]
        raise ValueError(
            f"{len(failed)} of {len(todo)} games failed, the others are in {out}; {first.task}: "
            f"{first.error}"
        )
    return rows
