#cython: language_level=3, boundscheck=False, wraparound=False
# The front-end of mstpn.network.front_end: what a frame changes, each output summed in one order.

cdef void convolve(
    const double[:, :, ::1] image, const double[:, ::1] weight, const double[::1] bias,
    Py_ssize_t stride, const unsigned char[:, ::1] changed,
    double[:, :, ::1] output, double[::1] total,
    unsigned char[:, ::1] changed_next, Py_ssize_t stride_next,
) noexcept nogil:
    """Outputs of the blocks that changed, and the blocks of the next layer that they change."""
    cdef Py_ssize_t row, column, i, j, channel, k, out
    cdef Py_ssize_t n_out = output.shape[2], n_in = image.shape[2]
    cdef double pixel, value
    cdef bint moved
    for row in range(output.shape[0]):
        for column in range(output.shape[1]):
            if not (
                changed[row, column] or changed[row, column + 1]
                or changed[row + 1, column] or changed[row + 1, column + 1]
            ):
                continue
            for out in range(n_out):
                total[out] = bias[out]
            k = 0
            for i in range(row * stride, (row + 2) * stride):
                for j in range(column * stride, (column + 2) * stride):
                    for channel in range(n_in):
                        pixel = image[i, j, channel]
                        if pixel != 0:
                            for out in range(n_out):
                                total[out] += pixel * weight[k, out]
                        k += 1
            moved = False
            for out in range(n_out):
                value = total[out] if total[out] > 0 else 0.0
                moved |= value != output[row, column, out]
                output[row, column, out] = value
            if moved:
                changed_next[row // stride_next, column // stride_next] = 1


def see(
    const unsigned char[:, ::1] frame, double[:, :, ::1] image,
    const double[:, ::1] weight_1, const double[::1] bias_1, Py_ssize_t stride_1,
    double[:, :, ::1] output_1,
    const double[:, ::1] weight_2, const double[::1] bias_2, Py_ssize_t stride_2,
    double[:, :, ::1] output_2,
    double[::1] total, unsigned char[:, ::1] changed_1, unsigned char[:, ::1] changed_2,
):
    """Bring image and outputs up to a frame."""
    cdef Py_ssize_t row, column
    changed_1[:, :] = 0
    changed_2[:, :] = 0
    for row in range(frame.shape[0]):
        for column in range(frame.shape[1]):
            if image[row, column, 0] != frame[row, column]:
                image[row, column, 0] = frame[row, column]
                changed_1[row // stride_1, column // stride_1] = 1
    convolve(
        image, weight_1, bias_1, stride_1, changed_1, output_1, total, changed_2, stride_2
    )
    convolve(
        output_1, weight_2, bias_2, stride_2, changed_2, output_2, total, changed_1, stride_1
    )
