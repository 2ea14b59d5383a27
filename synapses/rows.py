"""Event code of all-to-all synapses, one row of memory per event.

Brian2 runs event code through a queue of synapse numbers and looks up both units of each.
Where every presynaptic unit is connected to every postsynaptic one, in that order and without
delay, the synapses of an event are one contiguous row, and its loop can run in vector
instructions. Equations and event code stay what they are; only the loop around them, the
template, is another.
"""

import weakref
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from brian2.codegen.generators.cpp_generator import CPPCodeGenerator
from brian2.codegen.generators.cython_generator import CythonCodeGenerator, get_cpp_dtype
from brian2.codegen.runtime.cython_rt import CythonCodeObject
from brian2.core.functions import Function
from brian2.core.variables import Constant, DynamicArrayVariable, VariableView
from brian2.devices.cpp_standalone.codeobject import CPPStandaloneCodeObject
from brian2.devices.device import get_device
from brian2.groups.subgroup import Subgroup
from brian2.synapses.synapses import SynapticPathway
from brian2.utils.stringtools import get_identifiers, word_substitute

__all__ = ["visit_rows"]

_LOOP_INDEX = {"_presynaptic_idx": "_row", "_postsynaptic_idx": "_column"}
"""What the template counts instead of looking it up."""
_ROW_FUNCTIONS = {"_clip": "_row_clip"}
"""Brian2's functions of which the template has its own, inline."""


class _RowGenerator(CythonCodeGenerator):  # type: ignore[misc]
    """Tells the template, beside the code, what its function of one row takes and declares."""

    def translate_to_read_arrays(self, read: set[str], indices: set[str]) -> list[str]:
        return super().translate_to_read_arrays(read, indices - _LOOP_INDEX.keys())

    def translate_statement_sequence(self, scalar: Any, vector: Any) -> tuple[Any, Any, Any]:
        scalar_code, vector_code, keywords = super().translate_statement_sequence(scalar, vector)
        (block,) = vector
        substituted = _LOOP_INDEX | _ROW_FUNCTIONS
        code = vector_code[block] = word_substitute(vector_code[block], substituted)
        written = {s.var for s in vector[block]}
        elements = self._elements(vector[block])
        keywords["row_variables"] = [
            (kind, name) for kind, name in self._names(code) if name in elements | written
        ]
        arrays = {self.get_array_name(self.variables[name]): name for name in elements}
        keywords["row_arguments"] = [
            (_pointer(self.variables[name].dtype), array) for array, name in sorted(arrays.items())
        ] + [(kind, name) for kind, name in self._names(code) if name not in elements | written]
        return scalar_code, vector_code, keywords

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
        scalar_code, vector_code, keywords = super().translate_statement_sequence(scalar, vector)
        counted = {
            name: [word_substitute(line, _LOOP_INDEX) for line in lines]
            for name, lines in vector_code.items()
        }
        return scalar_code, counted, keywords


class _StandaloneRowCodeObject(CPPStandaloneCodeObject):  # type: ignore[misc]
    templater = CPPStandaloneCodeObject.templater.derive("mstpn.synapses")
    generator_class = _StandaloneRowGenerator


_CODE_OBJECTS = {
    CythonCodeObject: _RowCodeObject,
    CPPStandaloneCodeObject: _StandaloneRowCodeObject,
}


def visit_rows(pathway: SynapticPathway) -> None:
    """Let a presynaptic pathway visit rows whenever that is what Brian2's own path comes to.

    That is so on Cython and C++, for whole groups that are connected all to all, in the order of
    the presynaptic units, without delay. It is found out at the beginning of each run; in C++,
    which connects when it runs, from how the synapses were connected.

    Parameters
    ----------
    pathway : SynapticPathway
        Of `mstpn.synapses.settling.SettlingSynapses`.
    """
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
    return not np.any(delays) and np.array_equal(order, expected)
