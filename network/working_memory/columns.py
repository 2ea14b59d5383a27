"""Size of the working memory, and its cells by number; nothing of Brian2 is loaded for it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["COLUMNS", "Columns"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Columns:
    """Size of the memory.

    Parameters
    ----------
    hypercolumns, minicolumns, cells : int
        Minicolumns of each hypercolumn, pyramidal cells of each minicolumn.
    connection : float
        Probability of a synapse from a cell to one of another hypercolumn.

    Raises
    ------
    ValueError
        If there are fewer than two hypercolumns, two minicolumns or one cell, or the probability is
        none above 0.
    """

    hypercolumns: int = 7
    minicolumns: int = 10
    cells: int = 20
    connection: float = 0.25

    def __post_init__(self) -> None:
        for name, lowest in (("hypercolumns", 2), ("minicolumns", 2), ("cells", 1)):
            if getattr(self, name) < lowest:
                raise ValueError(f"{name} must be at least {lowest}, got {getattr(self, name)}")
        if not 0 < self.connection <= 1:
            raise ValueError(f"connection must lie in (0, 1], got {self.connection}")

    @property
    def pyramidal(self) -> int:
        """Number of pyramidal cells."""
        return self.hypercolumns * self.minicolumns * self.cells

    @property
    def neurons(self) -> int:
        """Number of pyramidal and basket cells."""
        return self.pyramidal + self.hypercolumns * self.minicolumns

    def members(self, item: ArrayLike, hypercolumns: ArrayLike) -> Ints:
        """Cells of an item's minicolumns in some hypercolumns.

        Parameters
        ----------
        item : array_like of int, (H,)
            Its minicolumn in each hypercolumn.
        hypercolumns : array_like of int
        """
        of = np.asarray(hypercolumns)
        first = (of * self.minicolumns + np.asarray(item)[of]) * self.cells
        return np.asarray((first[:, None] + np.arange(self.cells)).ravel())

    def items(self, n: int, rng: np.random.Generator) -> Ints:
        """Random items, (n, H)."""
        return rng.integers(0, self.minicolumns, (n, self.hypercolumns))


COLUMNS = Columns()
