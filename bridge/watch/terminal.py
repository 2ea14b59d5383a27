"""The game and its numbers where there is no browser: half blocks, or a line a second."""

import shutil
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from mstpn.bridge.watch.live import Live
from mstpn.network.frames import STEP_DURATION

__all__ = ["Terminal", "half_blocks"]

_LINES_BELOW = 4
_EVERY = 15
_HOME, _CLEAR, _HIDE, _SHOW, _RESET = "\033[H", "\033[2J", "\033[?25l", "\033[?25h", "\033[0m"


class Terminal:
    """A viewer that writes to a terminal, or a line a second to what is none.

    Parameters
    ----------
    stream : TextIO, optional
        stdout if absent.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._drawing = self._stream.isatty()
        self._last: tuple[int, int] | None = None

    def __enter__(self) -> "Terminal":
        if self._drawing:
            self._stream.write(_CLEAR + _HIDE)
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._drawing:
            self._stream.write(f"{_SHOW}\n")
            self._stream.flush()

    def show(self, live: Live, header: Mapping[str, Any]) -> None:
        """Draw a moment, or say it once a second of the game."""
        at = header["game"], header["decision"]
        if at == self._last or (not self._drawing and at[1] % _EVERY and not header["done"]):
            return
        self._last = at
        if not self._drawing:
            print(" ".join(numbers(header)), file=self._stream, flush=True)
            return
        columns, rows = shutil.get_terminal_size()
        lines = half_blocks(live.session.screen, columns, rows - _LINES_BELOW)
        lines += [f"{line[: columns - 1]}\033[K" for line in numbers(header)]
        self._stream.write(_HOME + "\n".join(lines) + "\033[J")
        self._stream.flush()


def numbers(header: Mapping[str, Any]) -> list[str]:
    """The numbers of a moment, three lines."""
    settings, energy = header["settings"], header["energy"]
    held = "own" if settings["hold"] is None else f"{settings['hold']:g} V"
    total = sum(energy.values())
    time_s = header["decision"] * float(STEP_DURATION)
    gpu = ", ".join(f"{name} {joule:.4g} J" for name, joule in header["gpu"][:1])
    return [
        f"seed {settings['seed']} score {header['score']:+g} decision {header['decision']} "
        f"game {time_s:.1f} s speed {header['measured_speed']:.2f} x",
        "energy "
        + ", ".join(f"{term} {joule:.4g} J" for term, joule in (energy | {"all": total}).items())
        + (f"; {gpu}" if gpu else ""),
        f"bias {held}, plasticity {'on' if settings['plastic'] else 'off'}, "
        f"writes and reads {header['write_share']:.1%} of the step",
    ]


def half_blocks(screen: NDArray[np.uint8], columns: int, rows: int) -> list[str]:
    """A picture as lines of half blocks, two pixels one above the other in each.

    Parameters
    ----------
    screen : ndarray of uint8, (height, width, 3)
    columns, rows : int
        Of the terminal; the picture is made smaller by the least integer that fits it in.
    """
    height, width = screen.shape[:2]
    factor = max(1, -(-width // max(columns, 1)), -(-height // max(2 * rows, 1)))
    down, across = height // factor // 2 * 2, width // factor
    cut = screen[: down * factor, : across * factor]
    small = cut.reshape(down, factor, across, factor, 3).mean(axis=(1, 3)).astype(np.uint8)
    return [_line(upper, lower) for upper, lower in zip(small[::2], small[1::2], strict=True)]


def _line(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> str:
    parts, before = [], None
    for pair in zip(upper.tolist(), lower.tolist(), strict=True):
        if pair != before:
            (r, g, b), (red, green, blue) = before = pair
            parts.append(f"\033[38;2;{r};{g};{b};48;2;{red};{green};{blue}m")
        parts.append("▀")
    return "".join(parts) + f"{_RESET}\033[K"
