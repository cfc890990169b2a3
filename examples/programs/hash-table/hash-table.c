/*
 * A hash table with chains, driven by commands.
 *
 * Input: the number of buckets, then commands to the end:
 *   + KEY VALUE          puts a value, or adds it to the one that is there
 *   ? KEY                prints the value, or "none"
 *   - KEY                removes the key
 *   * COUNT KEYS SEED    COUNT random commands on KEYS different keys
 * Output: what the commands print, then a summary of the table.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_BUCKETS 1000000
#define MAX_LOAD 32 /* entries per bucket */
#define MAX_COMMANDS 4000000
#define MAX_NUMBER 1000000000000LL

struct entry {
    long long key;
    long long value;
    struct entry *next;
};

struct table {
    size_t bucket_count;
    size_t size;
    struct entry **buckets;
};

static bool read_number(long long lowest, long long highest, long long *number)
{
    return scanf("%18lld", number) == 1 && *number >= lowest && *number <= highest;
}

static int fail(const char *message)
{
    fprintf(stderr, "hash-table: %s\n", message);
    return 1;
}

static size_t bucket_of(const struct table *table, long long key)
{
    uint64_t hash = (uint64_t)key * 0x9e3779b97f4a7c15u;
    return (size_t)((hash ^ (hash >> 32)) % table->bucket_count);
}

static struct entry *find(const struct table *table, long long key)
{
    struct entry *entry = table->buckets[bucket_of(table, key)];
    while (entry != NULL && entry->key != key)
        entry = entry->next;
    return entry;
}

/* False if the table is full or there is no memory. */
static bool put(struct table *table, long long key, long long value)
{
    struct entry *entry = find(table, key);
    if (entry != NULL) {
        entry->value += value;
        return true;
    }
    if (table->size >= table->bucket_count * MAX_LOAD)
        return false;
    entry = malloc(sizeof *entry);
    if (entry == NULL)
        return false;
    size_t bucket = bucket_of(table, key);
    entry->key = key;
    entry->value = value;
    entry->next = table->buckets[bucket];
    table->buckets[bucket] = entry;
    table->size++;
    return true;
}

static bool take(struct table *table, long long key)
{
    struct entry **link = &table->buckets[bucket_of(table, key)];
    while (*link != NULL && (*link)->key != key)
        link = &(*link)->next;
    if (*link == NULL)
        return false;
    struct entry *removed = *link;
    *link = removed->next;
    free(removed);
    table->size--;
    return true;
}

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* Half look-ups, three in eight puts, one in eight removals. */
static bool run_random(struct table *table, long long count, long long keys, uint64_t state)
{
    long long found = 0;
    long long removed = 0;
    long long sum = 0;
    for (long long i = 0; i < count; i++) {
        uint32_t kind = next_random(&state) % 8;
        long long key = next_random(&state) % keys * 7 - keys;
        if (kind < 4) {
            const struct entry *entry = find(table, key);
            if (entry != NULL) {
                found++;
                sum += entry->value % 1000;
            }
        } else if (kind < 7) {
            if (!put(table, key, i % 100 - 25))
                return false;
        } else {
            removed += take(table, key);
        }
    }
    printf("found %lld, removed %lld, sum %lld\n", found, removed, sum);
    return true;
}

static void print_value(const struct entry *entry)
{
    if (entry != NULL)
        printf("%lld\n", entry->value);
    else
        printf("none\n");
}

static int run_commands(struct table *table)
{
    long long commands = 0;
    char command;
    while (scanf(" %c", &command) == 1) {
        long long key;
        long long value;
        long long keys;
        long long seed;
        commands++;
        if (command == '*') {
            if (!read_number(0, MAX_COMMANDS, &value) || !read_number(1, MAX_COMMANDS, &keys) ||
                !read_number(-MAX_NUMBER, MAX_NUMBER, &seed))
                return fail("expected * COUNT KEYS SEED, counts up to 4000000");
            commands += value;
        } else if (!read_number(-MAX_NUMBER, MAX_NUMBER, &key)) {
            return fail("expected a key of at most 12 digits");
        }
        if (commands > MAX_COMMANDS)
            return fail("more than 4000000 commands");

        if (command == '*') {
            if (!run_random(table, value, keys, (uint64_t)seed))
                return fail("the table is full");
        } else if (command == '+') {
            if (!read_number(-MAX_NUMBER, MAX_NUMBER, &value))
                return fail("expected a value of at most 12 digits");
            if (!put(table, key, value))
                return fail("the table is full");
        } else if (command == '?') {
            print_value(find(table, key));
        } else if (command == '-') {
            take(table, key);
        } else {
            return fail("expected one of the commands + ? - *");
        }
    }
    return 0;
}

static void print_summary(const struct table *table)
{
    size_t longest = 0;
    uint64_t sum = 0;
    for (size_t bucket = 0; bucket < table->bucket_count; bucket++) {
        size_t length = 0;
        for (const struct entry *entry = table->buckets[bucket]; entry != NULL; entry = entry->next) {
            sum += (uint64_t)entry->key * (uint64_t)entry->value;
            length++;
        }
        if (length > longest)
            longest = length;
    }
    printf("%zu entries, longest chain %zu, sum %llu\n", table->size, longest, (unsigned long long)sum);
}

static void release(struct table *table)
{
    for (size_t bucket = 0; bucket < table->bucket_count; bucket++) {
        struct entry *entry = table->buckets[bucket];
        while (entry != NULL) {
            struct entry *next = entry->next;
            free(entry);
            entry = next;
        }
    }
    free(table->buckets);
}

int main(void)
{
    long long buckets;
    if (!read_number(1, MAX_BUCKETS, &buckets))
        return fail("expected 1 to 1000000 buckets");

    struct table table = {(size_t)buckets, 0, calloc((size_t)buckets, sizeof(struct entry *))};
    if (table.buckets == NULL)
        return fail("out of memory");

    int status = run_commands(&table);
    if (status == 0)
        print_summary(&table);
    release(&table);
    return status;
}
