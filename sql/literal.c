/* literal.c - see literal.h. */
#include "sql/literal.h"

enum { MAX_DIGITS = 18, MAX_EXPONENT = 27 };

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* Digits with a point among them, to an integer and the power of ten that it is short of. */
static bool read_digits(const char *s, size_t n_bytes, size_t *i, int64_t *ret_digits,
                        int *ret_power)
{
        int64_t digits = 0;
        int n_digits = 0;
        int power = 0;
        bool after_point = false;

        for (; *i < n_bytes && (is_digit(s[*i]) || s[*i] == '.'); ++*i) {
                if (s[*i] == '.') {
                        after_point = true;
                        continue;
                }
                if (digits || s[*i] != '0')
                        n_digits++;
                if (n_digits > MAX_DIGITS)
                        return false;
                digits = digits * 10 + (s[*i] - '0');
                power -= after_point;
        }
        *ret_digits = digits;
        *ret_power = power;
        return true;
}

static bool read_exponent(const char *s, size_t n_bytes, size_t i, int *power)
{
        bool is_negative = false;
        int exponent = 0;

        i++; /* the letter */
        if (i < n_bytes && (s[i] == '+' || s[i] == '-'))
                is_negative = s[i++] == '-';
        for (; i < n_bytes; i++) {
                exponent = exponent * 10 + (s[i] - '0');
                if (exponent > 10 * MAX_EXPONENT)
                        return false;
        }
        *power += is_negative ? -exponent : exponent;
        return true;
}

/* As SQLite does it: one operation on long doubles, which is exact up to that power of ten, then
 * rounded to a double. strtod() rounds but once and so differs in the last bit now and then. */
static bool scale(int64_t digits, int power, double *ret_real)
{
        long double ten = 1;
        int n = power < 0 ? -power : power;

        if (n > MAX_EXPONENT)
                return false;
        while (n-- > 0)
                ten *= 10;
        *ret_real = (double)(power < 0 ? (long double)digits / ten : (long double)digits * ten);
        return true;
}

static bool read_integer(const char *s, size_t n_bytes, struct value *ret_value)
{
        int64_t i = 0;

        for (size_t k = 0; k < n_bytes; k++)
                if (__builtin_mul_overflow(i, 10, &i) || __builtin_add_overflow(i, s[k] - '0', &i))
                        return false;
        *ret_value = value_integer(i);
        return true;
}

bool sql_literal_number(const char *s, size_t n_bytes, struct value *ret_value)
{
        bool is_integer = true;
        int64_t digits;
        size_t i = 0;
        double real;
        int power;

        for (size_t k = 0; k < n_bytes; k++) {
                if (s[k] == 'x' || s[k] == 'X')
                        return false;
                is_integer = is_integer && is_digit(s[k]);
        }
        if (is_integer)
                return n_bytes && read_integer(s, n_bytes, ret_value);
        if (!read_digits(s, n_bytes, &i, &digits, &power))
                return false;
        if (i < n_bytes && !read_exponent(s, n_bytes, i, &power))
                return false;
        if (!scale(digits, power, &real))
                return false;
        *ret_value = value_real(real);
        return true;
}

static unsigned hex(char c)
{
        return is_digit(c) ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

void sql_literal_blob(const char *digits, size_t n_bytes, uint8_t *ret_bytes)
{
        for (size_t i = 0; i + 1 < n_bytes; i += 2)
                ret_bytes[i / 2] = (uint8_t)(hex(digits[i]) << 4 | hex(digits[i + 1]));
}
