{# `synapses_rows.pyx` for Brian2's C++ standalone mode. #}
{% extends 'common_group.cpp' %}

{% block extra_headers %}
#if defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__) && defined(__x86_64__)
extern "C" __attribute__((simd("notinbranch"))) double exp(double) noexcept;
#endif
{% endblock %}

{% block maincode %}
    // scalar code
    const size_t _vectorisation_idx = 1;
    {{ scalar_code | autoindent }}

    {% set _eventspace = get_array_name(eventspace_variable) %}
    const size_t _n_columns = {{ n_columns }};
    for(int _event = 0; _event < {{_eventspace}}[{{ eventspace_variable.size - 1 }}]; _event++)
    {
        const size_t _row = {{_eventspace}}[_event];
        #pragma GCC ivdep
        for(size_t _column = 0; _column < _n_columns; _column++)
        {
            const size_t _idx = _row * _n_columns + _column;
            // vector code
            {{ vector_code | autoindent }}
        }
    }
{% endblock %}
