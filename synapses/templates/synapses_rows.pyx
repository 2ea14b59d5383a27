{# Event code of all-to-all synapses that are ordered by presynaptic unit: the synapses of an
   event are one row of memory. A function of its own with unaliased pointers, no index arrays
   and no checked divisors lets a C++ compiler make vector instructions of a row, exp included. #}
{# USES_VARIABLES { _n_targets } #}
{% extends 'common_group.pyx' %}

{% block template_support_code %}
from libcpp.vector cimport vector as _vector

cdef extern from *:
    """
    {% include 'row_math.h' %}

    """
    ctypedef double * _double_row "double * __restrict__"
    ctypedef const double * _power_row "const double * __restrict__"
    const double * _row_power(const double *, double, size_t, double *) noexcept nogil

@_cython.cdivision(True)
cdef int _visit_row(
    size_t _row, size_t _n_columns
    {%- for kind, name in row_arguments %}, {{kind}} {{name}}{% endfor %}

) except -1:
    cdef size_t _column, _idx, _vectorisation_idx
    {% for kind, name in row_variables %}
    cdef {{kind}} {{name}}
    {% endfor %}
    for _column in range(_n_columns):
        _vectorisation_idx = _idx = _row * _n_columns + _column
        # vector code
        {{ vector_code | autoindent }}
    return 0
{% endblock %}

{% block maincode %}
    # scalar code
    _vectorisation_idx = 1
    {{ scalar_code | autoindent }}

    {% set _eventspace = get_array_name(eventspace_variable) %}
    cdef size_t _event, _row, _n_columns = _n_targets
    cdef _vector[double] _space = _vector[double]({{ 2 * row_powers | length }} * _n_columns)
    {% for power in row_powers %}
    cdef const double * {{power.name}}
    {% endfor %}
    for _event in range({{_eventspace}}[_num{{_eventspace}} - 1]):
        _row = {{_eventspace}}[_event]
        {% for power in row_powers %}
        {{power.name}} = _row_power(
            {{power.base}} + _row*_n_columns, {{power.exponent}}, _n_columns,
            _space.data() + {{ 2 * loop.index0 }} * _n_columns
        )
        {% endfor %}
        _visit_row(
            _row, _n_columns
            {%- for kind, name in row_arguments %}, {{name}}{% endfor %}

        )
{% endblock %}
