{# What the loops over rows need of C++. With these declarations a vector library's functions stand
   in for those of one number. #}
#include <cmath>
#include <cstddef>
#if defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__) && defined(__x86_64__)
#define _OF_A_VECTOR __attribute__((simd("notinbranch")))
extern "C" {
_OF_A_VECTOR double exp(double) noexcept;
_OF_A_VECTOR double log(double) noexcept;
_OF_A_VECTOR double sin(double) noexcept;
_OF_A_VECTOR double cos(double) noexcept;
_OF_A_VECTOR double pow(double, double) noexcept;
}
#endif

// n numbers raised to one exponent, in `space` for 2 n of them; the numbers themselves if it is 1
static inline const double *_row_power(const double *base, double exponent, size_t n, double *space)
{
    if (exponent == 1)
        return base;
    double *power = space, *square = space + n;
    if (!(exponent >= 0 && exponent < 4e9 && exponent == std::floor(exponent)))
    {
        for (size_t k = 0; k < n; k++)
            power[k] = std::pow(base[k], exponent);
        return power;
    }
    for (size_t k = 0; k < n; k++)
    {
        power[k] = 1;
        square[k] = base[k];
    }
    for (unsigned long left = (unsigned long)exponent; left; left >>= 1)
    {
        if (left & 1)
            for (size_t k = 0; k < n; k++)
                power[k] *= square[k];
        for (size_t k = 0; k < n; k++)
            square[k] *= square[k];
    }
    return power;
}
