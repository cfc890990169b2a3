/*
 * Powers of a square matrix of 32-bit numbers, modulo 2^32.
 *
 * Input: the order n, the number of products and a seed.
 * Output: after each product its trace, the sum of its numbers, its last
 * number and a checksum.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define MAX_ORDER 512
#define MAX_PRODUCTS 100
#define MAX_WORK 300000000LL /* multiplications */

static uint32_t base[MAX_ORDER][MAX_ORDER];
static uint32_t power[MAX_ORDER][MAX_ORDER];
static uint32_t product[MAX_ORDER][MAX_ORDER];

static bool read_number(long long lowest, long long highest, int *number)
{
    long long value;
    if (scanf("%18lld", &value) != 1 || value < lowest || value > highest)
        return false;
    *number = (int)value;
    return true;
}

static int fail(const char *message)
{
    fprintf(stderr, "matrix-product: %s\n", message);
    return 1;
}

static void fill(int n, uint32_t state)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            state = state * 1664525u + 1013904223u;
            base[i][j] = state >> 8;
            power[i][j] = base[i][j];
        }
}

static void multiply(int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            product[i][j] = 0;

    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            for (int k = 0; k < n; k++)
                product[i][j] += power[i][k] * base[k][j];

    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            power[i][j] = product[i][j];
}

/* Column by column, as the checksum is defined. */
static uint32_t checksum(int n)
{
    uint32_t sum = 0;
    for (int j = 0; j < n; j++)
        for (int i = 0; i < n; i++)
            sum = sum * 31u + power[i][j];
    return sum;
}

static void print_summary(int n)
{
    uint32_t trace = 0;
    uint32_t sum = 0;
    for (int i = 0; i < n; i++) {
        trace += power[i][i];
        for (int j = 0; j < n; j++)
            sum += power[i][j];
    }
    printf("trace %u sum %u last %u checksum %08x\n", (unsigned)trace, (unsigned)sum,
           (unsigned)power[n - 1][n - 1], (unsigned)checksum(n));
}

int main(void)
{
    int n;
    int products;
    int seed;

    if (!read_number(1, MAX_ORDER, &n))
        return fail("expected an order from 1 to 512");
    if (!read_number(0, MAX_PRODUCTS, &products))
        return fail("expected 0 to 100 products");
    if (!read_number(INT32_MIN, INT32_MAX, &seed))
        return fail("expected a seed of 32 bits");
    if ((long long)n * n * n * products > MAX_WORK)
        return fail("too many products of this order");

    fill(n, (uint32_t)seed);
    print_summary(n);
    for (int i = 0; i < products; i++) {
        multiply(n);
        print_summary(n);
    }
    return 0;
}
