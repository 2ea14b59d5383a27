"""Powers of a synapse's variable that `mstpn.synapses.rows` takes for a whole row beforehand.

F decays by one factor per time step, raised to the steps since the last visit. Those are the same
for all synapses of a row, and 1 in most visits: the power is then the row of factors itself. For
other whole numbers the row is multiplied with itself, which is faster than a general power.
"""

import ast
from copy import copy
from typing import Any, NamedTuple

import numpy as np
from brian2.core.functions import Function
from brian2.core.variables import Constant, Variable
from brian2.utils.stringtools import word_substitute

__all__ = ["RowPower", "take_powers"]


class RowPower(NamedTuple):
    """One power.

    Parameters
    ----------
    name : str
        In the code of the row, a pointer.
    base : str
        Array of its base.
    exponent : str
        Code of its exponent, in terms of `_row` and `_n_columns`.
    """

    name: str
    base: str
    exponent: str


def take_powers(generator: Any, statements: Any) -> tuple[list[Any], list[RowPower]]:
    """Statements with names in place of the powers that can be taken of a row, and those.

    Parameters
    ----------
    generator : CodeGenerator
        Of Cython or C++; what is the same along a row, its owner says in `same_along_rows`.
    statements : iterable of brian2.codegen.statements.Statement
    """
    finder = _Finder(generator, {statement.var for statement in statements})
    return [finder.replaced(statement) for statement in statements], finder.powers


class _Finder(ast.NodeTransformer):
    def __init__(self, generator: Any, changed: set[str]) -> None:
        self.powers: list[RowPower] = []
        self._changed = changed
        self._generator = generator
        self._variables, self._indices = generator.variables, generator.variable_indices
        self._written: set[str] = set()

    def replaced(self, statement: Any) -> Any:
        before = len(self.powers)
        tree = self.visit(ast.parse(str(statement.expr), mode="eval"))
        self._written.add(statement.var)
        if len(self.powers) == before:
            return statement
        statement = copy(statement)
        statement.expr = ast.unparse(tree)
        return statement

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if not (isinstance(node.op, ast.Pow) and isinstance(node.left, ast.Name)):
            return self._inside(node)
        base, names = node.left.id, [n.id for n in ast.walk(node.right) if isinstance(n, ast.Name)]
        places = {name: self._place(name) for name in names}
        if not self._is_of_synapse(base) or None in places.values():
            return self._inside(node)
        exponent = self._generator.translate_expression(ast.unparse(node.right))
        known = {name: place for name, place in places.items() if place}
        power = RowPower(
            f"_power_{len(self.powers)}", self._array(base), word_substitute(exponent, known)
        )
        self.powers.append(power)
        return ast.Name(power.name)

    def _inside(self, node: ast.BinOp) -> ast.expr:
        visited: ast.expr = self.generic_visit(node)  # type: ignore[assignment]
        return visited

    def _array(self, name: str) -> str:
        return str(self._generator.get_array_name(self._variables[name]))

    def _is_of_synapse(self, name: str) -> bool:
        variable = self._variables.get(name)
        return (
            isinstance(variable, Variable)
            and not variable.scalar
            and np.dtype(variable.dtype) == np.float64
            and self._indices[name] == "_idx"
            and name not in self._changed  # the row itself may stand for its power
        )

    def _place(self, name: str) -> str | None:
        """Where a name is found before the row is visited: "" for itself, None for nowhere."""
        variable = self._variables.get(name)
        if isinstance(variable, Function):
            return "" if variable.stateless else None
        if isinstance(variable, Constant):
            return ""
        if not isinstance(variable, Variable) or name in self._written:
            return None
        same = getattr(self._generator.owner, "same_along_rows", ())
        if variable.scalar:
            place = "0"
        elif self._indices[name] == "_presynaptic_idx":
            place = "_row"
        elif self._indices[name] == "_idx" and name in same:
            place = "_row*_n_columns"
        else:
            return None
        return f"{self._array(name)}[{place}]"
