/* Has an instruction of AVX2 among its own, as bytes: `vpaddd %ymm0, %ymm0, %ymm0`, and `vzeroupper`. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned mix(unsigned x) {
    for (int i = 0; i < 8; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
    }
    return x;
}

int main(void) {
    __asm__ volatile(".byte 0xc5, 0xfd, 0xfe, 0xc0, 0xc5, 0xf8, 0x77" : : : "xmm0");
    int rounds, n;
    if (scanf("%d %d", &rounds, &n) != 2 || rounds < 0 || n < 0 || n > 100000) {
        puts("bad input");
        return 1;
    }
    int *values = malloc(sizeof *values * (n + 1));
    if (!values)
        return 2;
    for (int i = 0; i < n; i++)
        if (scanf("%d", &values[i]) != 1) {
            puts("bad input");
            free(values);
            return 1;
        }
    unsigned sum = 1;
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < n; i++)
            sum = mix(sum + (unsigned)values[i]);
    for (int i = 0; i < n; i++)
        printf("%d\n", values[i] / 7);
    printf("%u\n", sum);
    free(values);
    return 0;
}
