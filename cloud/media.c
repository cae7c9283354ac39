/* cloud/media.c -- see media.h. */
#include "cloud/media.h"

#include <string.h>

#include "base/http.h"

/* application/json, text/json, application/problem+json: the whole of it, however long. */
static bool is_json(const char *s, size_t n)
{
    return n > 5 &&
           (strncasecmp(s + n - 5, "/json", 5) == 0 || strncasecmp(s + n - 5, "+json", 5) == 0);
}

bool media_foreign_type(const char *content_type, char name[MEDIA_NAME])
{
    const char *s = content_type != NULL ? content_type + strspn(content_type, " \t") : "";
    size_t n = strcspn(s, "; \t,");

    name[0] = '\0';
    if (n == 0 || is_json(s, n))
        return false;
    if (n >= MEDIA_NAME)
        n = MEDIA_NAME - 1;
    for (size_t i = 0; i < n; i++)
        name[i] = s[i] > ' ' && s[i] <= '~' ? s[i] : '?';
    name[n] = '\0';
    return true;
}

bool media_is_foreign(const struct http_answer *a, char name[MEDIA_NAME])
{
    name[0] = '\0';
    return a->len > 0 && media_foreign_type(http_header_get(a, "Content-Type", 0), name);
}
