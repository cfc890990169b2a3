/*
 * Compares bit signatures, all with all.
 *
 * Input: the number of signatures, the 64-bit words in each, and a seed.
 * Output: the nearest and the farthest pair and their Hamming distances, the
 * longest common prefix in bits, the pairs at odd distance, the sum of all
 * distances, and the sum of all words read backwards.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_SIGNATURES 5000
#define MAX_WORDS 64
#define MAX_WORK 20000000LL /* signatures squared times words */

static bool read_number(long long lowest, long long highest, long long *number)
{
    return scanf("%18lld", number) == 1 && *number >= lowest && *number <= highest;
}

static int fail(const char *message)
{
    fprintf(stderr, "popcount: %s\n", message);
    return 1;
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state ^ (*state >> 29);
}

static int count_bits(uint64_t word)
{
    int bits = 0;
    while (word != 0) {
        word &= word - 1;
        bits++;
    }
    return bits;
}

static int leading_zeros(uint64_t word)
{
    int zeros = 64;
    while (word != 0) {
        word >>= 1;
        zeros--;
    }
    return zeros;
}

static uint64_t reverse_bits(uint64_t word)
{
    uint64_t reversed = 0;
    for (int i = 0; i < 64; i++) {
        reversed = (reversed << 1) | (word & 1);
        word >>= 1;
    }
    return reversed;
}

static int distance(const uint64_t *a, const uint64_t *b, int words)
{
    int bits = 0;
    for (int i = 0; i < words; i++)
        bits += count_bits(a[i] ^ b[i]);
    return bits;
}

static int common_prefix(const uint64_t *a, const uint64_t *b, int words)
{
    int bits = 0;
    for (int i = 0; i < words; i++) {
        bits += leading_zeros(a[i] ^ b[i]);
        if (a[i] != b[i])
            break;
    }
    return bits;
}

/* One signature in eight is a copy of the one before with few bits changed. */
static void fill(uint64_t *signatures, long long n, long long words, uint64_t state)
{
    for (long long i = 0; i < n * words; i++) {
        uint64_t random = next_random(&state);
        if (i >= words && i / words % 8 == 7)
            signatures[i] = signatures[i - words] ^ (random & (random >> 8) & 0xff);
        else
            signatures[i] = random;
    }
}

static void compare_all(const uint64_t *signatures, int n, int words)
{
    int nearest[3] = {64 * words + 1, 0, 0};
    int farthest[3] = {-1, 0, 0};
    int longest_prefix = 0;
    long long odd = 0;
    long long sum = 0;

    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++) {
            const uint64_t *a = signatures + (size_t)i * (size_t)words;
            const uint64_t *b = signatures + (size_t)j * (size_t)words;
            int bits = distance(a, b, words);
            int prefix = common_prefix(a, b, words);
            if (bits < nearest[0]) {
                nearest[0] = bits;
                nearest[1] = i;
                nearest[2] = j;
            }
            if (bits > farthest[0]) {
                farthest[0] = bits;
                farthest[1] = i;
                farthest[2] = j;
            }
            if (prefix > longest_prefix)
                longest_prefix = prefix;
            odd += bits % 2;
            sum += bits;
        }
    if (n > 1) {
        printf("nearest %d: %d and %d\n", nearest[0], nearest[1], nearest[2]);
        printf("farthest %d: %d and %d\n", farthest[0], farthest[1], farthest[2]);
    }
    printf("prefix %d, odd %lld, sum %lld\n", longest_prefix, odd, sum);
}

int main(void)
{
    long long n;
    long long words;
    long long seed;

    if (!read_number(1, MAX_SIGNATURES, &n))
        return fail("expected 1 to 5000 signatures");
    if (!read_number(1, MAX_WORDS, &words))
        return fail("expected 1 to 64 words");
    if (!read_number(-1000000000, 1000000000, &seed))
        return fail("expected a seed of at most nine digits");
    if (n * n * words > MAX_WORK)
        return fail("too many signatures of this length");

    uint64_t *signatures = malloc((size_t)(n * words) * sizeof *signatures);
    if (!signatures)
        return fail("out of memory");

    fill(signatures, n, words, (uint64_t)seed);
    compare_all(signatures, (int)n, (int)words);

    uint64_t backwards = 0;
    for (long long i = 0; i < n * words; i++)
        backwards += reverse_bits(signatures[i]);
    printf("backwards %016llx\n", (unsigned long long)backwards);
    free(signatures);
    return 0;
}
