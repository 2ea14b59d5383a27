#cython: language_level=3, boundscheck=False, wraparound=False
# What mstpn.network.step_time and mstpn.network.saturation count, as their NumPy forms do.
from libc.math cimport fabs


def step_time(
    const double[::1] z,
    const double[::1] h,
    const double[:, ::1] gamma,
    double smallest,
    double pulse_second,
    double read_second,
    double[::1] totals,
):
    """Count a step, the rows that have an update Gamma h z of at least this size, and the time."""
    cdef Py_ssize_t row, column, n_columns = h.shape[0], rows = 0
    cdef double z_row, most = 0, seconds
    for row in range(z.shape[0]):
        z_row = z[row]
        if z_row == 0:
            continue
        most = max(most, fabs(z_row))
        for column in range(n_columns):
            if fabs(gamma[row, column] * h[column] * z_row) >= smallest:
                rows += 1
                break
    seconds = rows * pulse_second + most * read_second
    totals[0] += 1
    totals[1] += rows
    totals[2] = max(totals[2], rows)
    totals[3] += seconds
    totals[4] = max(totals[4], seconds)


def look(
    const double[::1] z,
    const double[::1] h,
    unsigned char[::1] visited,
    double saturated,
    long long[:, ::1] counts,
):
    """Mark the active rows as visited, and count the saturated outputs."""
    cdef Py_ssize_t k
    for k in range(z.shape[0]):
        if z[k] != 0:
            visited[k] = 1
    for k in range(h.shape[0]):
        counts[0, 0] += fabs(h[k]) >= saturated
    counts[0, 1] += h.shape[0]


def above(const double[::1] z, const double[::1] h, const double[:, ::1] gamma, double largest):
    """How many updates Gamma (z h) by active inputs are larger, and of how many."""
    cdef Py_ssize_t row, column, n_columns = h.shape[0], n = 0, active = 0
    cdef double z_row
    for row in range(z.shape[0]):
        z_row = z[row]
        if z_row == 0:
            continue
        active += 1
        for column in range(n_columns):
            n += fabs(gamma[row, column] * (z_row * h[column])) > largest
    return n, active * n_columns


def outside(
    const double[:, ::1] weight,
    const double[:, ::1] short_term,
    const unsigned char[::1] visited,
    long long[::1] counted,
    double low,
    double high,
    bint ends,
):
    """Count anew, for visited rows, the synapses whose W + F is outside or, if wanted, at an end."""
    cdef Py_ssize_t row, column, n_columns = weight.shape[1]
    cdef long long n
    cdef double total
    for row in range(weight.shape[0]):
        if not visited[row]:
            continue
        n = 0
        for column in range(n_columns):
            total = weight[row, column] + short_term[row, column]
            n += (total <= low) | (total >= high) if ends else (total < low) | (total > high)
        counted[row] = n
