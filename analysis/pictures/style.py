"""The look of figures: colours of Okabe and Ito, which colour-blind readers can tell apart."""

from collections.abc import Callable
from typing import Any

import matplotlib
from matplotlib.figure import Figure

__all__ = ["COLOUR", "GREY", "LIGHT", "STYLE", "styled"]

STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.dpi": 150,
    "figure.constrained_layout.use": True,
}
COLOUR = {"pulse": "#d55e00", "bias": "#0072b2", "read": "#009e73", "gpu": "#000000"}
GREY, LIGHT = "#555555", "#56b4e9"


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw under the house's style."""

    def drawn(*arguments: Any, **options: Any) -> Figure:
        with matplotlib.rc_context(STYLE):
            return draw(*arguments, **options)

    drawn.__doc__ = draw.__doc__
    return drawn
