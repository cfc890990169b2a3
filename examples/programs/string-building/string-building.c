/*
 * Sets words into lines and encodes the text.
 *
 * Input: words. Argument (optional): the longest line, 20 to 200, else 72.
 * Output: the first line of the text, its length and lines, how many words are
 * palindromes, and checksums of the text and of its encoding.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORD 63
#define MAX_TEXT 200000

static int fail(const char *message)
{
    fprintf(stderr, "string-building: %s\n", message);
    return 1;
}

static void capitalise(char *word)
{
    for (size_t i = 0; i < strlen(word); i++) {
        unsigned char letter = (unsigned char)word[i];
        word[i] = (char)(i == 0 ? toupper(letter) : tolower(letter));
    }
}

static bool is_palindrome(const char *word)
{
    char backwards[MAX_WORD + 1] = "";
    for (size_t i = 0; i < strlen(word); i++) {
        char letter[2] = {word[strlen(word) - 1 - i], '\0'};
        strcat(backwards, letter);
    }
    return strcmp(word, backwards) == 0;
}

static size_t last_line_length(const char *text)
{
    const char *end_of_line = strrchr(text, '\n');
    return strlen(end_of_line ? end_of_line + 1 : text);
}

/* Appends a word to the last line, or to a new one where it does not fit. */
static void append(char *text, const char *word, size_t longest_line)
{
    size_t used = last_line_length(text);
    if (used > 0 && used + 1 + strlen(word) > longest_line)
        strcat(text, "\n");
    else if (used > 0)
        strcat(text, " ");
    strcat(text, word);
}

/* Shifts each letter by its position in the text, and keeps all else. */
static void encode(char *text)
{
    for (size_t i = 0; i < strlen(text); i++) {
        char letter = text[i];
        int shift = (int)(i % 26);
        if (letter >= 'a' && letter <= 'z')
            text[i] = (char)('a' + (letter - 'a' + shift) % 26);
        else if (letter >= 'A' && letter <= 'Z')
            text[i] = (char)('A' + (letter - 'A' + shift) % 26);
    }
}

static uint32_t checksum(const char *text)
{
    uint32_t sum = 2166136261u;
    for (size_t i = 0; i < strlen(text); i++)
        sum = (sum ^ (unsigned char)text[i]) * 16777619u;
    return sum;
}

static size_t count(const char *text, char wanted)
{
    size_t found = 0;
    for (size_t i = 0; i < strlen(text); i++)
        if (text[i] == wanted)
            found++;
    return found;
}

static bool parse_line_length(const char *argument, size_t *longest_line)
{
    char *end;
    long value = strtol(argument, &end, 10);
    if (end == argument || *end != '\0' || value < 20 || value > 200)
        return false;
    *longest_line = (size_t)value;
    return true;
}

int main(int argc, char **argv)
{
    static char text[MAX_TEXT + MAX_WORD + 2];
    char word[MAX_WORD + 1];
    size_t longest_line = 72;
    int words = 0;
    int palindromes = 0;

    if (argc > 2 || (argc == 2 && !parse_line_length(argv[1], &longest_line)))
        return fail("the argument is the longest line, from 20 to 200");

    /* A longer word is taken as several. */
    while (scanf("%63s", word) == 1) {
        palindromes += is_palindrome(word);
        capitalise(word);
        append(text, word, longest_line);
        words++;
        if (strlen(text) > MAX_TEXT)
            return fail("too much text");
    }

    printf("%.*s\n", (int)strcspn(text, "\n"), text);
    printf("%d words, %d palindromes\n", words, palindromes);
    printf("%zu characters, %zu line breaks\n", strlen(text), count(text, '\n'));
    printf("text %08x\n", (unsigned)checksum(text));
    encode(text);
    printf("encoded %08x\n", (unsigned)checksum(text));
    return 0;
}
