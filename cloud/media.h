/* cloud/media.h -- is this answer a service's at all? They speak JSON; what says that it is
 * anything else is a page of something in between (checklist H6).
 */
#ifndef CORDON_CLOUD_MEDIA_H
#define CORDON_CLOUD_MEDIA_H

#include <stdbool.h>
#include <stddef.h>

struct http_answer;

/* A body that is said to be something else than JSON. name: its type, for a person, "text/html".
 * One of which nothing is said is judged by what is in it. */
enum { MEDIA_NAME = 48 };
bool media_is_foreign(const struct http_answer *a, char name[MEDIA_NAME]);
/* The same of the header's value; NULL: none. */
bool media_foreign_type(const char *content_type, char name[MEDIA_NAME]);

#endif
