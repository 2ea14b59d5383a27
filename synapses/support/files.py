"""Files that are old or new, never half, and errors about them that fit a line."""

import errno
import json
import math
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["atomic_write", "json_text", "one_line", "replacing", "write_json"]


_LONGEST_LINE = 300


def one_line(error: object) -> str:
    """What an error says, on one line of bearable length."""
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]} ..."


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a path beside `path` to write to, and rename it if all went well.

    Parameters
    ----------
    path : Path
        Its folder is made if it is missing; a link is followed; a pipe or a device, which cannot
        be replaced, is given what was written.
    durable : bool
        Flush to disk before renaming, so that not even a power failure leaves half a file;
        a killed program never does.

    Yields
    ------
    Path
        In the same folder and with the same suffix.
    """
    path = path.resolve() if path.is_symlink() else path
    if path.exists() and not (path.is_file() or path.is_dir()):
        with _through_a_file(path) as partial:
            yield partial
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield partial
        if durable:
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        if error.errno is not None and error.filename is None:  # as of a write on a full disk
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _through_a_file(path: Path) -> Iterator[Path]:
    """Give a file elsewhere, and copy it to a path that is no file."""
    if stat.S_ISSOCK(path.stat().st_mode):
        raise OSError(errno.ENXIO, "it is a socket", str(path))
    with tempfile.TemporaryDirectory() as folder:
        partial = Path(folder, path.name)
        yield partial
        with path.open("wb") as sink:
            sink.write(partial.read_bytes())


def json_text(content: Any) -> str:
    """JSON for a person too; numbers that are not finite, which JSON lacks, are null."""
    return json.dumps(_finite(content), indent=1, allow_nan=False)


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def write_json(path: Path, content: Any) -> None:
    """Write `json_text`, old or new, never half."""
    atomic_write(path, json_text(content).encode())


def atomic_write(path: Path, content: bytes) -> None:
    """Write bytes so that `path` is old or new, never half."""
    with replacing(path) as partial:
        partial.write_bytes(content)
