"""Event code of all-to-all synapses, one row of memory per event.

Brian2 runs event code through a queue of synapse numbers and looks up both units of each.
Where every presynaptic unit is connected to every postsynaptic one, in that order and without
delay, the synapses of an event are one contiguous row, and its loop can run in vector
instructions. Equations and event code stay what they are; only the loop around them, the
template, is another.
"""

import re
import weakref
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
from brian2.codegen.generators.cpp_generator import CPPCodeGenerator
from brian2.codegen.generators.cython_generator import CythonCodeGenerator, get_cpp_dtype
from brian2.codegen.runtime.cython_rt import CythonCodeObject
from brian2.core.functions import DEFAULT_FUNCTIONS, Function
from brian2.core.variables import Constant, DynamicArrayVariable, VariableView
from brian2.devices.cpp_standalone.codeobject import CPPStandaloneCodeObject
from brian2.devices.device import get_device
from brian2.groups.subgroup import Subgroup
from brian2.synapses.synapses import SynapticPathway
from brian2.utils.stringtools import get_identifiers, word_substitute

from mstpn.synapses.row_powers import RowPower, take_powers

__all__ = ["visit_rows"]

_LOOP_INDEX = {"_presynaptic_idx": "_row", "_postsynaptic_idx": "_column"}
"""What the template counts instead of looking it up."""
_SAFE = [DEFAULT_FUNCTIONS[name] for name in ("clip", "exprel", "sign", "timestep")]
"""Functions that Brian2 brings for Cython and that cannot fail."""
_SIGNATURE = re.compile(r"^cdef (?:inline )?(.+\))(?: nogil)?:$", re.MULTILINE)


class _RowGenerator(CythonCodeGenerator):  # type: ignore[misc]
    """Tells the template, beside the code, what its function of one row takes and declares."""

    def translate_to_read_arrays(self, read: set[str], indices: set[str]) -> list[str]:
        return super().translate_to_read_arrays(read, indices - _LOOP_INDEX.keys())

    def translate_statement_sequence(self, scalar: Any, vector: Any) -> tuple[Any, Any, Any]:
        ((block, statements),) = vector.items()
        statements, powers = take_powers(self, statements)
        scalar_code, vector_code, keywords = super().translate_statement_sequence(
            scalar, {block: statements}
        )
        code = vector_code[block] = word_substitute(vector_code[block], _counted(powers))
        elements = self._elements(statements)
        inside = elements | {s.var for s in statements}
        names = list(self._names(code))
        arrays = {self.get_array_name(self.variables[name]): name for name in elements}
        keywords["row_powers"] = powers
        keywords["row_variables"] = [(kind, name) for kind, name in names if name in inside]
        keywords["row_arguments"] = [
            *((_pointer(self.variables[name].dtype), a) for a, name in sorted(arrays.items())),
            *((kind, name) for kind, name in names if name not in inside),
            *(("_power_row", power.name) for power in powers),
        ]
        return scalar_code, vector_code, keywords

    def _add_user_function(self, varname: str, variable: Any, added: Any) -> Any:
        """Declare those that Brian2 brings as functions that can be inlined.

        No loop is vectorised around a call that may fail. Functions of the user's are taken as they
        are, so what they raise is raised; those that say `noexcept` are vectorised too.
        """
        declared = super()._add_user_function(varname, variable, added)
        if declared is None or variable not in _SAFE:
            return declared
        support, *rest = declared
        return [_SIGNATURE.sub(r"cdef inline \1 noexcept nogil:", s) for s in support], *rest

    def _elements(self, statements: Any) -> set[str]:
        read, write, *_ = self.arrays_helper(statements)
        return {name for name in read | write if not self.variables[name].scalar}

    def _names(self, code: str) -> Iterator[tuple[str, str]]:
        """C type and name of what stands in the code, arrays and functions left out."""
        temporary = dict(self.temporary_vars)
        for name in sorted(get_identifiers(code)):
            variable = self.variables.get(name)
            if isinstance(variable, Constant):
                yield get_cpp_dtype(variable.value), name
            elif variable is not None and not isinstance(variable, Function):
                yield get_cpp_dtype(variable.dtype), name
            elif name in temporary:
                yield get_cpp_dtype(temporary[name]), name


def _counted(powers: list[RowPower]) -> dict[str, str]:
    return _LOOP_INDEX | {power.name: f"{power.name}[_column]" for power in powers}


def _pointer(dtype: Any) -> str:
    kind = get_cpp_dtype(dtype)
    return "_double_row" if kind == "double" else f"{kind} *"


class _RowCodeObject(CythonCodeObject):  # type: ignore[misc]
    templater = CythonCodeObject.templater.derive("mstpn.synapses")
    generator_class = _RowGenerator

    def __init__(self, *args: Any, **kwds: Any) -> None:
        super().__init__(*args, **kwds)
        if self.compiler == "unix":  # else the loop is believed to run rarely, being behind checks
            self.extra_compile_args: list[str] = [
                *self.extra_compile_args,
                "-fno-guess-branch-probability",
            ]


class _StandaloneRowGenerator(CPPCodeGenerator):  # type: ignore[misc]
    """Counts rows and columns; the template needs nothing else beside the code."""

    def translate_to_read_arrays(
        self, read: set[str], write: set[str], indices: set[str]
    ) -> list[str]:
        return super().translate_to_read_arrays(read, write, indices - _LOOP_INDEX.keys())

    def translate_statement_sequence(self, scalar: Any, vector: Any) -> tuple[Any, Any, Any]:
        ((block, statements),) = vector.items()
        statements, powers = take_powers(self, statements)
        scalar_code, vector_code, keywords = super().translate_statement_sequence(
            scalar, {block: statements}
        )
        keywords["row_powers"] = powers
        counted = [word_substitute(line, _counted(powers)) for line in vector_code[block]]
        return scalar_code, {block: counted}, keywords


class _StandaloneRowCodeObject(CPPStandaloneCodeObject):  # type: ignore[misc]
    templater = CPPStandaloneCodeObject.templater.derive("mstpn.synapses")
    generator_class = _StandaloneRowGenerator


_CODE_OBJECTS = {
    CythonCodeObject: _RowCodeObject,
    CPPStandaloneCodeObject: _StandaloneRowCodeObject,
}


def visit_rows(pathway: SynapticPathway, same: Iterable[str] = ()) -> None:
    """Let a presynaptic pathway visit rows whenever that is what Brian2's own path comes to.

    That is so on Cython and C++, for whole groups that are connected all to all, in the order of
    the presynaptic units, without delay. It is found out at the beginning of each run; in C++,
    which connects when it runs, from how the synapses were connected.

    Parameters
    ----------
    pathway : SynapticPathway
        Of `mstpn.synapses.settling.SettlingSynapses`.
    same : iterable of str
        Variables of the synapses that are the same along a row for as long as rows are visited,
        such as the time of the last visit; rows are visited only if they are when a run begins.
    """
    pathway.synapses.same_along_rows = frozenset(same)
    pathway.variables["delay"].__class__ = _WatchedDelay
    pathway.create_code_objects = partial(_create_code_objects, pathway)
    pathway._own_form = {name: getattr(pathway, name) for name in _FORM}


class _WatchedDelay(DynamicArrayVariable):  # type: ignore[misc]
    """Says if a delay was ever set; what it is, C++ standalone does not know before it runs."""

    assigned = False

    def get_addressable_value(self, name: str, group: Any) -> VariableView:
        return _WatchedView(name=name, variable=self, group=group, dimensions=None)

    def get_addressable_value_with_unit(self, name: str, group: Any) -> VariableView:
        return _WatchedView(name=name, variable=self, group=group, dimensions=self.dim)


class _WatchedView(VariableView):  # type: ignore[misc]
    def set_item(self, item: Any, value: Any, level: int = 0, namespace: Any = None) -> None:
        self.variable.assigned = True
        super().set_item(item, value, level=level + 1, namespace=namespace)


_FORM = ("template", "codeobj_class", "template_kwds", "needed_variables")


def _create_code_objects(pathway: SynapticPathway, run_namespace: Any) -> None:
    target = get_device().code_object_class()
    if target not in _CODE_OBJECTS or not _are_rows(pathway, target is CythonCodeObject):
        for name, value in pathway._own_form.items():
            setattr(pathway, name, value)
        SynapticPathway.create_code_objects(pathway, run_namespace)
        return
    eventspace = pathway.source.variables[pathway.eventspace_name]
    pathway.template = "synapses_rows"
    pathway.codeobj_class = _CODE_OBJECTS[target]
    pathway.template_kwds = {
        "eventspace_variable": eventspace,
        "n_columns": len(pathway.target),
    }
    pathway.needed_variables = [pathway.eventspace_name]
    # no queue: the events are read where the thresholder wrote them
    pathway.code_objects[:] = [weakref.proxy(pathway.create_default_code_object(run_namespace))]


def _are_rows(pathway: SynapticPathway, known: bool) -> bool:
    synapses = pathway.synapses
    groups = (pathway.source, pathway.target)
    if any(isinstance(group, Subgroup) for group in groups):
        return False
    if not known:
        return synapses.connected_all_to_all and not pathway.variables["delay"].assigned
    delays = pathway.variables["delay"].get_value()
    order = np.asarray(synapses.i[:]) * len(pathway.target) + np.asarray(synapses.j[:])
    expected = np.arange(len(pathway.source) * len(pathway.target))
    if np.any(delays) or not np.array_equal(order, expected):
        return False
    values = (synapses.variables[name].get_value() for name in synapses.same_along_rows)
    rows = (value.reshape(-1, len(pathway.target)) for value in values)
    return all(np.array_equal(row, np.broadcast_to(row[:, :1], row.shape)) for row in rows)
