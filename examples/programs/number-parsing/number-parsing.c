/*
 * Aggregates the amounts in a text.
 *
 * Input: the number of queries; for each query its lowest and highest amount;
 * then amounts to the end. An amount has an optional sign, up to nine digits
 * and up to two decimals (-12.5, 7, +0.25); any other word is counted as
 * malformed. The text is scanned once for each query.
 * Output: for each query how many amounts lie in its range, their sum, the
 * smallest and the largest, and how many words are malformed.
 */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#include "text.h"

#define MAX_QUERIES 1000
#define MAX_WORK 200000000LL /* characters times queries */

enum word { AMOUNT, MALFORMED, END };

struct range {
    long long lowest;
    long long highest;
};

static int fail(const char *message)
{
    fprintf(stderr, "number-parsing: %s\n", message);
    return 1;
}

static bool is_space(int character)
{
    return character == ' ' || character == '\n' || character == '\t' || character == '\r';
}

static bool is_digit(int character)
{
    return character >= '0' && character <= '9';
}

/* Reads up to `most` digits on top of `value`; says how many there were. */
static int read_digits(struct text *text, int most, long long *value)
{
    int digits = 0;
    while (digits < most && is_digit(text_peek(text))) {
        *value = *value * 10 + (text_peek(text) - '0');
        text_skip(text);
        digits++;
    }
    return digits;
}

/* Reads one word; an amount comes in hundredths. */
static enum word read_word(struct text *text, long long *hundredths)
{
    while (is_space(text_peek(text)))
        text_skip(text);
    if (text_peek(text) == TEXT_END)
        return END;

    bool negative = text_peek(text) == '-';
    if (negative || text_peek(text) == '+')
        text_skip(text);

    long long value = 0;
    int decimals = 0;
    int digits = read_digits(text, 9, &value);
    if (digits > 0 && text_peek(text) == '.') {
        text_skip(text);
        decimals = read_digits(text, 2, &value);
        if (decimals == 0)
            digits = 0;
    }
    for (; decimals < 2; decimals++)
        value *= 10;

    bool whole = digits > 0;
    while (text_peek(text) != TEXT_END && !is_space(text_peek(text))) {
        whole = false;
        text_skip(text);
    }
    *hundredths = negative ? -value : value;
    return whole ? AMOUNT : MALFORMED;
}

static void print_amount(long long hundredths, char end)
{
    long long size = hundredths < 0 ? -hundredths : hundredths;
    printf("%s%lld.%02lld%c", hundredths < 0 ? "-" : "", size / 100, size % 100, end);
}

static void answer(struct text *text, struct range range)
{
    long long count = 0;
    long long malformed = 0;
    long long sum = 0;
    long long smallest = LLONG_MAX;
    long long largest = LLONG_MIN;
    long long value;
    enum word word;

    while ((word = read_word(text, &value)) != END) {
        if (word == MALFORMED) {
            malformed++;
        } else if (value >= range.lowest && value <= range.highest) {
            count++;
            sum += value;
            if (value < smallest)
                smallest = value;
            if (value > largest)
                largest = value;
        }
    }
    printf("%lld malformed, %lld in range", malformed, count);
    if (count > 0) {
        printf(": ");
        print_amount(sum, ' ');
        print_amount(smallest, ' ');
        print_amount(largest, '\n');
    } else {
        printf("\n");
    }
}

static int answer_all(struct text *text)
{
    static struct range ranges[MAX_QUERIES];
    long long queries;

    if (read_word(text, &queries) != AMOUNT || queries % 100 != 0 || queries < 0 ||
        queries > MAX_QUERIES * 100)
        return fail("expected 0 to 1000 queries");
    queries /= 100;
    for (long long i = 0; i < queries; i++)
        if (read_word(text, &ranges[i].lowest) != AMOUNT ||
            read_word(text, &ranges[i].highest) != AMOUNT)
            return fail("expected the lowest and highest amount of each query");
    if ((long long)text->length * queries > MAX_WORK)
        return fail("too many queries for a text of this length");

    size_t start = text->position;
    for (long long i = 0; i < queries; i++) {
        text->position = start;
        answer(text, ranges[i]);
    }
    return 0;
}

int main(void)
{
    struct text text;
    int status;
    if (text_read(&text))
        status = answer_all(&text);
    else
        status = fail("the input is too long");
    text_free(&text);
    return status;
}
