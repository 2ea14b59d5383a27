"""Choice of Brian2's code generation target."""

import sys
from typing import Literal

from brian2 import prefs
from brian2.codegen.runtime.cython_rt import CythonCodeObject
from brian2.utils.logger import catch_logs

__all__ = ["Target", "use_target"]

Target = Literal["auto", "cython", "numpy"]


def use_target(target: Target) -> str:
    """Set Brian2's target for everything compiled from now on.

    Parameters
    ----------
    target : {"auto", "cython", "numpy"}
        `auto` takes Cython where a C++ compiler works, else NumPy and says so on stderr.

    Returns
    -------
    str
        The target in use.

    Raises
    ------
    ValueError
        If Cython is asked for and no compiler works.
    """
    chosen = target
    with catch_logs():  # Brian2 says the same in eight lines
        compiles = target != "numpy" and CythonCodeObject.is_available()
    if target != "numpy" and not compiles:
        if target == "cython":
            raise ValueError("target cython needs a C++ compiler, and none works here")
        print(
            "No C++ compiler works here (or no Python headers): "
            "using Brian2's numpy target, several times slower.",
            file=sys.stderr,
        )
        chosen = "numpy"
    elif target == "auto":
        chosen = "cython"
    prefs.codegen.target = chosen
    return chosen
