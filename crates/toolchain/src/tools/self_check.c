/* What the self-check builds two ways: integer, floating-point and memory work in turn. */
#include <stdio.h>
#include <stdlib.h>

#define N 96

static double a[N][N], b[N][N], c[N][N];
static unsigned table[1 << 14];

static unsigned next(unsigned *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static int ascending(const void *x, const void *y) {
    unsigned p = *(const unsigned *)x, q = *(const unsigned *)y;
    return (p > q) - (p < q);
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 1;
    unsigned state = 1, hash = 2166136261u;
    double trace = 0;
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                a[i][j] = next(&state) % 100;
                b[i][j] = next(&state) % 100;
                c[i][j] = 0;
            }
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++)
                for (int k = 0; k < N; k++)
                    c[i][j] += a[i][k] * b[k][j];
        for (int i = 0; i < N; i++)
            trace += c[i][i];
        int count = sizeof table / sizeof *table;
        for (int i = 0; i < count; i++)
            table[i] = next(&state);
        qsort(table, count, sizeof *table, ascending);
        for (int i = 0; i < count; i++)
            hash = (hash ^ table[i]) * 16777619u;
    }
    printf("%u %.0f\n", hash, trace);
    return 0;
}
