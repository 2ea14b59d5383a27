{# Event code of all-to-all synapses that are ordered by presynaptic unit: the synapses of an
   event are one row of memory. A function of its own with unaliased pointers, no index arrays
   and no checked divisors lets a C++ compiler make vector instructions of a row, exp included.
   Brian2's own clip is neither inline nor sure to raise nothing, and no loop is vectorised around
   a call that may fail: rows have one of the same results. #}
{# USES_VARIABLES { _n_targets } #}
{% extends 'common_group.pyx' %}

{% block template_support_code %}
cdef extern from *:
    """
    #if defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__) && defined(__x86_64__)
    extern "C" __attribute__((simd("notinbranch"))) double exp(double) noexcept;
    #endif
    """
    ctypedef double * _double_row "double * __restrict__"

ctypedef fused _row_number:
    int
    long
    float
    double

cdef inline _row_number _row_clip(_row_number x, double low, double high) noexcept nogil:
    return <_row_number>low if x < low else (<_row_number>high if x > high else x)

@_cython.cdivision(True)
cdef void _visit_row(
    size_t _row, size_t _n_columns
    {%- for kind, name in row_arguments %}, {{kind}} {{name}}{% endfor %}

) noexcept:
    cdef size_t _column, _idx
    {% for kind, name in row_variables %}
    cdef {{kind}} {{name}}
    {% endfor %}
    for _column in range(_n_columns):
        _idx = _row * _n_columns + _column
        # vector code
        {{ vector_code | autoindent }}
{% endblock %}

{% block maincode %}
    # scalar code
    _vectorisation_idx = 1
    {{ scalar_code | autoindent }}

    {% set _eventspace = get_array_name(eventspace_variable) %}
    cdef size_t _event
    for _event in range({{_eventspace}}[_num{{_eventspace}} - 1]):
        _visit_row(
            {{_eventspace}}[_event], _n_targets
            {%- for kind, name in row_arguments %}, {{name}}{% endfor %}

        )
{% endblock %}
