/* cloud/hunting_inside.h -- inside cloud/hunting*.c only.
 *
 *   hunting.c        asking both services
 *   hunting_text.c   the texts. Pure
 *   hunting_read.c   the answers. Pure
 */
#ifndef CORDON_CLOUD_HUNTING_INSIDE_H
#define CORDON_CLOUD_HUNTING_INSIDE_H

#include "cloud/hunting.h"

enum {
    HUNT_QUERY_MAX = 2048,
    HUNT_ANSWER_MAX = 8 * 1024 * 1024,
    HUNT_ANSWER_ROWS = 4096,
};

int hunt_check(const char *sid, int64_t from_ms, int64_t to_ms, struct err *e);
/* "Disabled", ... for 4725 and its like; "" for others. */
const char *hunt_event_words(int64_t id);
/* Fill e from an answer of Log Analytics that is no success. Always -1. */
int hunt_read_error(long status, const char *body, size_t n, const char *request_id, struct err *e);

#endif
