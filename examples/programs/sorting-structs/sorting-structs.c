/*
 * Rankings of results by different keys.
 *
 * Input: the number of results and of queries; for each result its number,
 * name, score and time; for each query a key (number, name, score or time) and
 * a place, counted from 1. Each query sorts the results anew, as they were read.
 * Output: for each query the result at that place and a checksum of the order.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RESULTS 100000
#define MAX_QUERIES 1000
#define MAX_WORK 10000000LL /* results times queries */
#define MAX_NAME 19

struct result {
    int number;
    char name[MAX_NAME + 1];
    int score;
    double time;
};

typedef int comparison(struct result a, struct result b);

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
    fprintf(stderr, "sorting-structs: %s\n", message);
    return 1;
}

static int by_number(struct result a, struct result b)
{
    return (a.number > b.number) - (a.number < b.number);
}

static int by_name(struct result a, struct result b)
{
    int order = strcmp(a.name, b.name);
    return order != 0 ? order : by_number(a, b);
}

/* The highest score first. */
static int by_score(struct result a, struct result b)
{
    if (a.score != b.score)
        return a.score > b.score ? -1 : 1;
    return by_number(a, b);
}

static int by_time(struct result a, struct result b)
{
    if (a.time < b.time)
        return -1;
    if (a.time > b.time)
        return 1;
    return by_number(a, b);
}

static comparison *find_comparison(const char *key)
{
    if (strcmp(key, "number") == 0)
        return by_number;
    if (strcmp(key, "name") == 0)
        return by_name;
    if (strcmp(key, "score") == 0)
        return by_score;
    if (strcmp(key, "time") == 0)
        return by_time;
    return NULL;
}

/* Merge sort of results[first, end); equal ones keep their order. */
static void sort(struct result *results, struct result *scratch, int first, int end,
                 comparison *compare)
{
    if (end - first < 2)
        return;
    int middle = first + (end - first) / 2;
    sort(results, scratch, first, middle, compare);
    sort(results, scratch, middle, end, compare);

    int left = first;
    int right = middle;
    for (int i = first; i < end; i++) {
        if (right == end || (left < middle && compare(results[left], results[right]) <= 0))
            scratch[i] = results[left++];
        else
            scratch[i] = results[right++];
    }
    for (int i = first; i < end; i++)
        results[i] = scratch[i];
}

static uint32_t checksum(const struct result *results, int n)
{
    uint32_t sum = 0;
    for (int i = 0; i < n; i++)
        sum = sum * 31u + (uint32_t)results[i].number;
    return sum;
}

static int answer(const struct result *results, struct result *sorted, struct result *scratch, int n,
                  int queries)
{
    for (int query = 0; query < queries; query++) {
        char key[8];
        int place;
        comparison *compare = scanf("%7s", key) == 1 ? find_comparison(key) : NULL;
        if (compare == NULL || !read_number(1, n, &place))
            return fail("expected for each query a key and a place");
        for (int i = 0; i < n; i++)
            sorted[i] = results[i];
        sort(sorted, scratch, 0, n, compare);
        struct result found = sorted[place - 1];
        printf("%s %d: %d %s %d %.3f, %08x\n", key, place, found.number, found.name, found.score,
               found.time, (unsigned)checksum(sorted, n));
    }
    return 0;
}

static bool read_result(struct result *result)
{
    return read_number(INT32_MIN, INT32_MAX, &result->number) && scanf("%19s", result->name) == 1 &&
           read_number(INT32_MIN, INT32_MAX, &result->score) && scanf("%lf", &result->time) == 1 &&
           result->time >= 0.0 && result->time <= 1e6;
}

int main(void)
{
    int n;
    int queries;
    int status;

    if (!read_number(1, MAX_RESULTS, &n))
        return fail("expected 1 to 100000 results");
    if (!read_number(0, MAX_QUERIES, &queries))
        return fail("expected 0 to 1000 queries");
    if ((long long)n * queries > MAX_WORK)
        return fail("too many queries for so many results");

    struct result *results = calloc(3 * (size_t)n, sizeof *results);
    if (!results)
        return fail("out of memory");
    int read = 0;
    while (read < n && read_result(&results[read]))
        read++;
    if (read < n)
        status = fail("expected for each result its number, name, score and time");
    else
        status = answer(results, results + n, results + 2 * n, n, queries);
    free(results);
    return status;
}
