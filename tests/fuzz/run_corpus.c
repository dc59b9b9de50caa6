/* run_corpus.c - runs a harness over the files of a folder without libFuzzer: each as it is, every
 * beginning of it, and with every byte changed a little. Prints a line of TAP for each file. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_FILE_BYTES = 1 << 16 };

/* In memory of exactly that size, so that the sanitizer sees a read behind it. */
static void run_copy(const uint8_t *data, size_t n_bytes)
{
        uint8_t *copy = xmalloc(n_bytes);

        memcpy(copy, data, n_bytes);
        LLVMFuzzerTestOneInput(copy, n_bytes);
        free(copy);
}

static void run_variants(uint8_t *data, size_t n_bytes)
{
        static const uint8_t changes[] = { 0x01, 0x04, 0x80, 0xff };

        for (size_t n = 0; n <= n_bytes; n++)
                run_copy(data, n);
        for (size_t i = 0; i < n_bytes; i++) {
                for (size_t j = 0; j < ARRAY_LEN(changes); j++) {
                        data[i] ^= changes[j];
                        run_copy(data, n_bytes);
                        data[i] ^= changes[j];
                }
        }
}

int main(int argc, char **argv)
{
        static uint8_t data[MAX_FILE_BYTES];
        struct dirent **files;
        int n = argc == 2 ? scandir(argv[1], &files, NULL, alphasort) : -1, n_run = 0;

        if (n < 0) {
                fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
                return EXIT_FAILURE;
        }
        for (int i = 0; i < n; i++) {
                cleanup_(freep) char *path = xasprintf("%s/%s", argv[1], files[i]->d_name);
                FILE *f = *files[i]->d_name == '.' ? NULL : fopen(path, "re");

                free(files[i]);
                if (!f)
                        continue;
                run_variants(data, fread(data, 1, sizeof data, f));
                fclose(f);
                printf("ok %d - %s\n", ++n_run, path);
        }
        free(files);
        printf("1..%d\n", n_run);
        return n_run ? EXIT_SUCCESS : EXIT_FAILURE;
}
