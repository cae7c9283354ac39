/* base/failpoint.c -- see failpoint.h. Compiled only with CORDON_FAILPOINTS.
 *
 * Hits are counted with atomics since jobs on the thread pool may pass a failpoint too; the list
 * itself changes only before main and in tests, while nothing else runs.
 */
#include "base/failpoint.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { POINTS_MAX = 16, SPEC_MAX = 512 };

struct point {
    const char *name; /* in `text` */
    uint64_t at;      /* 1: the first hit */
    bool kill;
    atomic_uint_fast64_t hits;
};

static char text[SPEC_MAX];
static struct point points[POINTS_MAX];
static size_t point_count;

static void refuse(const char *why)
{
    (void)fprintf(stderr, "cordon: CORDON_FAILPOINT: %s; want name:N:kill or name:N:fail\n", why);
    abort();
}

void failpoint_set(const char *spec)
{
    char *next = text;

    point_count = 0;
    if (spec == NULL || spec[0] == '\0')
        return;
    if (strlen(spec) >= sizeof(text))
        refuse("too long");
    memcpy(text, spec, strlen(spec) + 1);

    while (next != NULL) {
        char *name = strsep(&next, ","), *at = strchr(name, ':');
        char *action = at != NULL ? strchr(at + 1, ':') : NULL;
        struct point *p = &points[point_count];

        if (point_count == POINTS_MAX)
            refuse("too many");
        if (action == NULL || at == name)
            refuse("a part is missing");
        *at++ = '\0';
        *action++ = '\0';
        if (!text_to_u64(at, 1, UINT32_MAX, &p->at))
            refuse("N is no number from 1 on");
        if (strcmp(action, "kill") != 0 && strcmp(action, "fail") != 0)
            refuse("unknown action");
        p->name = name;
        p->kill = action[0] == 'k';
        atomic_store(&p->hits, 0);
        point_count++;
    }
}

/* Before main, which drops every variable that it does not know (checklist P1). */
__attribute__((constructor)) static void read_environment(void)
{
    failpoint_set(getenv("CORDON_FAILPOINT"));
}

bool failpoint_hit(const char *name)
{
    bool fail = false;

    for (size_t i = 0; i < point_count; i++) {
        struct point *p = &points[i];

        if (strcmp(p->name, name) != 0 || atomic_fetch_add(&p->hits, 1) + 1 != p->at)
            continue;
        if (p->kill)
            (void)raise(SIGKILL);
        fail = true;
    }
    return fail;
}
