"""Choice of Brian2's code generation target, and what to do where compiling fails."""

import contextlib
import hashlib
import platform
import shutil
import sys
import tempfile
from atexit import register
from collections.abc import Callable
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal, Protocol, TypeVar

from brian2 import prefs
from brian2.codegen.cpp_prefs import get_compiler_and_args
from brian2.codegen.runtime.cython_rt import CythonCodeObject
from brian2.codegen.runtime.cython_rt.extension_manager import (
    cython_extension_manager,
    get_cython_cache_dir,
)
from brian2.utils.logger import catch_logs

__all__ = ["Prepared", "Target", "compiled", "compiles", "extension", "use_target"]

Target = Literal["auto", "cython", "numpy"]


class Prepared(Protocol):
    """What can be compiled before it is used."""

    def prepare(self) -> None:
        """Compile all code that will run."""


T = TypeVar("T", bound=Prepared)


def use_target(target: Target) -> str:
    """Set Brian2's target for everything compiled from now on.

    Where the compiler works but Brian2's cache of compiled code does not, as in a home that
    cannot be written to, the cache is a temporary folder. Code is compiled for the processor that
    is found, so each kind of processor has a folder of its own in the cache, unless you set
    ``prefs.codegen.runtime.cython.cache_dir``: machines of a cluster may share a home.

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
    if target != "numpy":
        _keep_apart_from_other_processors()
    compiles = target != "numpy" and (_compiles() or _compiles_elsewhere())
    if target != "numpy" and not compiles:
        if target == "cython":
            raise ValueError("target cython needs a C++ compiler, and none works here")
        _say_numpy("No C++ compiler works here (or no Python headers)")
        chosen = "numpy"
    elif target == "auto":
        chosen = "cython"
    prefs.codegen.target = chosen
    return chosen


def compiled(target: Target, make: Callable[[], T]) -> T:
    """What `make` returns, compiled; on NumPy where the compiler fails on the way.

    Parameters
    ----------
    target : {"auto", "cython", "numpy"}
        As for `use_target`, which this calls.
    make : callable
        May be called again.

    Raises
    ------
    ValueError
        If Cython is asked for and does not work.
    """
    if use_target(target) == "numpy":
        return _prepared(make)
    try:
        with catch_logs():
            return _prepared(make)
    except ValueError:
        raise
    except Exception as error:  # whatever a compiler, a linker, a loader or a full disk does
        reason = f"Compiling failed ({_innermost(error)})"
        if target == "cython":
            raise ValueError(f"target cython: {reason}") from error
    _say_numpy(reason)
    prefs.codegen.target = "numpy"
    return _prepared(make)


def compiles() -> bool:
    """Whether Brian2 compiles by Cython what is made now."""
    target = prefs.codegen.target
    return target == "cython" or (target == "auto" and _compiles())


def extension(code: str) -> Any:
    """A module in Cython, compiled as Brian2 compiles its own and kept in its cache."""
    compiler, flags = get_compiler_and_args()
    return cython_extension_manager.create_extension(
        code,
        compiler=compiler,
        extra_compile_args=flags,
        **{name: prefs[f"codegen.cpp.{name}"] for name in _LIKEWISE},
    )


_LIKEWISE = ("extra_link_args", "include_dirs", "library_dirs", "runtime_library_dirs")


def _prepared(make: Callable[[], T]) -> T:
    made = make()
    made.prepare()
    return made


def _keep_apart_from_other_processors() -> None:
    if prefs.codegen.runtime.cython.cache_dir is None:
        prefs.codegen.runtime.cython.cache_dir = str(Path(get_cython_cache_dir()) / processor())


def processor() -> str:
    """What tells processors of other instructions apart."""
    cpu = f"{platform.machine()} {platform.processor()}"
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        cpu += "".join(sorted({x for x in lines if x.lower().startswith(("flags", "features"))}))
    return hashlib.sha256(cpu.encode()).hexdigest()[:12]


def _compiles() -> bool:
    with catch_logs():  # Brian2 says the same in eight lines
        return bool(CythonCodeObject.is_available())


def _compiles_elsewhere() -> bool:
    before = prefs.codegen.runtime.cython.cache_dir
    folder = tempfile.mkdtemp(prefix="brian_extensions")
    prefs.codegen.runtime.cython.cache_dir = folder
    if _compiles():
        register(shutil.rmtree, folder, ignore_errors=True)
        print(
            "Brian2's cache of compiled code cannot be used here: compiling for this time only.",
            file=sys.stderr,
        )
        return True
    prefs.codegen.runtime.cython.cache_dir = before
    shutil.rmtree(folder, ignore_errors=True)
    return False


def _say_numpy(reason: str) -> None:
    print(f"{reason}: using Brian2's numpy target, several times slower.", file=sys.stderr)


def _innermost(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return shorten(f"{type(error).__name__}: {error}", 100, placeholder=" ...")
