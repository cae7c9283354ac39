/* config/keys_find.c -- looking things up in the table of config/keys.c; see keys.h. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/keys.h"

const struct cfg_key *cfg_key_find(const char *section, const char *name)
{
    for (size_t i = 0; i < cfg_key_count; i++) {
        if (text_eq_nocase(cfg_keys[i].section, section) && text_eq_nocase(cfg_keys[i].name, name))
            return &cfg_keys[i];
    }
    return NULL;
}

const struct cfg_section *cfg_section_find(const char *name)
{
    for (size_t i = 0; i < cfg_section_count; i++) {
        if (text_eq_nocase(cfg_sections[i].name, name))
            return &cfg_sections[i];
    }
    return NULL;
}

const char *cfg_section_slash(const char *name)
{
    const struct cfg_section *s = cfg_section_find(name);

    return s != NULL && s->named != NULL ? "/NAME" : "";
}

/* Near enough to be a slip: one letter in three. */
static bool is_near(unsigned distance, const char *name)
{
    return distance <= 1 + strlen(name) / 3 && distance < strlen(name);
}

const struct cfg_key *cfg_key_near(const char *section, const char *name)
{
    const struct cfg_key *best = NULL;
    unsigned least = 255;

    for (size_t i = 0; i < cfg_key_count; i++) {
        unsigned d;

        if (!text_eq_nocase(cfg_keys[i].section, section))
            continue;
        d = text_distance(cfg_keys[i].name, name);
        if (d < least) {
            least = d;
            best = &cfg_keys[i];
        }
    }
    return is_near(least, name) ? best : NULL;
}

const struct cfg_section *cfg_section_near(const char *name)
{
    const struct cfg_section *best = NULL;
    unsigned least = 255;

    for (size_t i = 0; i < cfg_section_count; i++) {
        unsigned d = text_distance(cfg_sections[i].name, name);

        if (d < least) {
            least = d;
            best = &cfg_sections[i];
        }
    }
    return is_near(least, name) ? best : NULL;
}

int cfg_word_find(const char *words, const char *word)
{
    char one[32];

    for (unsigned i = 0; cfg_word_at(words, i, one)[0] != '\0'; i++) {
        if (text_eq_nocase(one, word))
            return (int)i;
    }
    return -1;
}

const char *cfg_word_at(const char *words, unsigned i, char buf[32])
{
    for (; i > 0 && *words != '\0'; i--) {
        words += strcspn(words, " ");
        words += strspn(words, " ");
    }
    (void)snprintf(buf, 32, "%.*s", (int)strcspn(words, " "), words);
    return buf;
}
