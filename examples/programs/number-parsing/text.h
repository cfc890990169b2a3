/* A text in memory that is read character by character. */
#ifndef TEXT_H
#define TEXT_H

#include <stddef.h>

#define TEXT_MAX_LENGTH 8000000
#define TEXT_END (-1)

struct text {
    char *characters;
    size_t length;
    size_t position;
};

/* Reads standard input whole; 0 if that fails or it is too long. */
int text_read(struct text *text);
void text_free(struct text *text);

/* The next character, which stays where it is, or TEXT_END. */
int text_peek(const struct text *text);
void text_skip(struct text *text);

#endif
