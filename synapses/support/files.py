"""Files that are old or new, never half, and errors about them that fit a line."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_write", "one_line", "replacing"]


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
        Its folder is made if it is missing.
    durable : bool
        Flush to disk before renaming, so that not even a power failure leaves half a file;
        a killed program never does.

    Yields
    ------
    Path
        In the same folder and with the same suffix.
    """
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


def atomic_write(path: Path, content: bytes) -> None:
    """Write bytes so that `path` is old or new, never half."""
    with replacing(path) as partial:
        partial.write_bytes(content)
