/* utf8.c - is it UTF-8? A word at a time while it is ASCII, which most text is. Pure; any thread.
 */
#include "common/utf8.h"

#include <stdint.h>
#include <string.h>

#define EACH_BYTE(x) (UINT64_C(0x0101010101010101) * (x))

/* Nonzero if one of the eight bytes is 0 or above 0x7f. */
static inline uint64_t odd_bytes(const uint8_t *p)
{
        uint64_t w;

        memcpy(&w, p, sizeof w);
        return ((w - EACH_BYTE(1)) | w) & EACH_BYTE(0x80);
}

static inline bool is_tail(uint8_t c)
{
        return (c & 0xc0) == 0x80;
}

/* Length of the well-formed sequence of two to four bytes at p (Unicode 15, table 3-7); 0 if it is
 * none. */
static inline size_t sequence_length(const uint8_t *p, size_t n_left)
{
        uint8_t c = p[0], low = 0x80, high = 0xbf;
        size_t n;

        if (c < 0xc2 || c > 0xf4)
                return 0;
        n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        if (n > n_left)
                return 0;
        if (c == 0xe0)
                low = 0xa0; /* overlong */
        else if (c == 0xed)
                high = 0x9f; /* surrogates */
        else if (c == 0xf0)
                low = 0x90; /* overlong */
        else if (c == 0xf4)
                high = 0x8f; /* above U+10FFFF */
        if (p[1] < low || p[1] > high)
                return 0;
        if ((n > 2 && !is_tail(p[2])) || (n > 3 && !is_tail(p[3])))
                return 0;
        return n;
}

static bool is_utf8(const void *data, size_t n_bytes, bool nul_allowed)
{
        const uint8_t *p = data;
        const uint8_t *end = n_bytes ? p + n_bytes : p; /* p may be NULL then */

        while (p < end) {
                size_t n;

                while (end - p >= 32 &&
                       !(odd_bytes(p) | odd_bytes(p + 8) | odd_bytes(p + 16) | odd_bytes(p + 24)))
                        p += 32;
                while (end - p >= 8 && !odd_bytes(p))
                        p += 8;
                if (p == end)
                        break;
                if (*p < 0x80) {
                        if (*p == 0 && !nul_allowed)
                                return false;
                        p++;
                        continue;
                }
                do {
                        n = sequence_length(p, (size_t)(end - p));
                        if (n == 0)
                                return false;
                        p += n;
                } while (p < end && *p >= 0x80);
        }
        return true;
}

bool utf8_is_valid(const void *p, size_t n_bytes)
{
        return is_utf8(p, n_bytes, true);
}

bool utf8_is_plain(const void *p, size_t n_bytes)
{
        return is_utf8(p, n_bytes, false);
}

/* True if p begins a sequence that more bytes could complete. */
static bool is_cut(const uint8_t *p, size_t n_left)
{
        static const uint8_t tails[][3] = { { 0x80, 0x80, 0x80 },
                                            { 0xa0, 0x80, 0x80 },
                                            { 0x90, 0x80, 0x80 } };

        for (size_t i = 0; n_left < 4 && i < sizeof tails / sizeof tails[0]; i++) {
                uint8_t whole[4];

                memcpy(whole, p, n_left);
                memcpy(whole + n_left, tails[i], 4 - n_left);
                if (sequence_length(whole, 4) > n_left)
                        return true;
        }
        return false;
}

void utf8_repair(char *s)
{
        uint8_t *p = (uint8_t *)s;
        size_t n_left = strlen(s);

        while (n_left) {
                size_t n = *p < 0x80 ? 1 : sequence_length(p, n_left);

                if (n == 0 && is_cut(p, n_left)) {
                        *p = '\0';
                        return;
                }
                if (n == 0) {
                        *p = '?';
                        n = 1;
                }
                p += n;
                n_left -= n;
        }
}
