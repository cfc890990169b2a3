#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int count_bits(uint64_t word)
{
    int bits = 0;
    while (word != 0) {
        word &= word - 1;
        bits++;
    }
    return bits;
}

static int distance(const uint64_t *a, const uint64_t *b, int words)
{
    int bits = 0;
    for (int i = 0; i < words; i++)
        bits += count_bits(a[i] ^ b[i]);
    return bits;
}

int main(void)
{
    int n, words;
    if (scanf("%d %d", &n, &words) != 2 || n < 1 || words < 1)
        return 1;
    uint64_t *signatures = malloc((size_t)n * (size_t)words * sizeof *signatures);
    if (!signatures)
        return 1;
    uint64_t state = 1;
    for (long i = 0; i < (long)n * words; i++)
        signatures[i] = state = state * 6364136223846793005u + 1442695040888963407u;
    long sum = 0;
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++)
            sum += distance(signatures + (long)i * words, signatures + (long)j * words, words);
    printf("%ld\n", sum);
    free(signatures);
    return 0;
}
