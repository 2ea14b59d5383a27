#cython: language_level=3, boundscheck=False, wraparound=False
# Rows in which an update is issued, for mstpn.network.step_time.
from libc.math cimport fabs


def written_rows(
    const double[::1] z, const double[::1] h, const double[:, ::1] gamma, double smallest
):
    """How many rows have an update Gamma h z of at least this size."""
    cdef Py_ssize_t row, column, n_columns = h.shape[0], n = 0
    cdef double z_row
    cdef bint written
    for row in range(z.shape[0]):
        z_row = z[row]
        if z_row == 0:
            continue
        written = False
        for column in range(n_columns):
            written |= fabs(gamma[row, column] * h[column] * z_row) >= smallest
        n += written
    return n
