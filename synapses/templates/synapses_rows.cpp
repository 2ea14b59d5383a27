{# `synapses_rows.pyx` for Brian2's C++ standalone mode. #}
{% extends 'common_group.cpp' %}

{% block extra_headers %}
#include <vector>
{% include 'row_math.h' %}
{% endblock %}

{% block maincode %}
    // scalar code
    const size_t _vectorisation_idx = 1;
    {{ scalar_code | autoindent }}

    {% set _eventspace = get_array_name(eventspace_variable) %}
    const size_t _n_columns = {{ n_columns }};
    std::vector<double> _space({{ 2 * row_powers | length }} * _n_columns);
    for(int _event = 0; _event < {{_eventspace}}[{{ eventspace_variable.size - 1 }}]; _event++)
    {
        const size_t _row = {{_eventspace}}[_event];
        {% for power in row_powers %}
        const double *{{power.name}} = _row_power(
            {{power.base}} + _row*_n_columns, {{power.exponent}}, _n_columns,
            _space.data() + {{ 2 * loop.index0 }} * _n_columns);
        {% endfor %}
        #pragma GCC ivdep
        for(size_t _column = 0; _column < _n_columns; _column++)
        {
            const size_t _idx = _row * _n_columns + _column;
            // vector code
            {{ vector_code | autoindent }}
        }
    }
{% endblock %}
