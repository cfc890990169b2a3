#include "text.h"

#include <stdio.h>
#include <stdlib.h>

int text_read(struct text *text)
{
    size_t capacity = 4096;
    int character;

    text->length = 0;
    text->position = 0;
    text->characters = malloc(capacity);
    while (text->characters != NULL && (character = getchar()) != EOF) {
        if (text->length == TEXT_MAX_LENGTH)
            return 0;
        if (text->length == capacity) {
            char *larger = realloc(text->characters, 2 * capacity);
            if (larger == NULL)
                return 0;
            text->characters = larger;
            capacity *= 2;
        }
        text->characters[text->length++] = (char)character;
    }
    return text->characters != NULL;
}

void text_free(struct text *text)
{
    free(text->characters);
    text->characters = NULL;
}

int text_peek(const struct text *text)
{
    if (text->position >= text->length)
        return TEXT_END;
    return (unsigned char)text->characters[text->position];
}

void text_skip(struct text *text)
{
    if (text->position < text->length)
        text->position++;
}
