/* agent/service/none/brake.c -- until agent/service/brake.c is there: nothing is ever held. */
#include "agent/service/brake.h"

#include "base/cleanup.h"

struct brake {
    int unused;
};
static struct brake one;

int brake_new(struct ledger *l, const struct cfg *cfg, struct brake **ret_brake, struct err *e)
{
    (void)l;
    (void)cfg;
    (void)e;
    *ret_brake = &one;
    return 0;
}

void brake_free(struct brake *b)
{
    (void)b;
}

bool brake_take(struct brake *b, const struct brake_ask *a, char *why, size_t size, struct err *e)
{
    (void)b;
    (void)a;
    (void)why;
    (void)size;
    (void)e;
    return true;
}

bool brake_is_engaged(const struct brake *b, char *why, size_t size, int64_t *ret_since_ms)
{
    (void)b;
    (void)why;
    (void)size;
    (void)ret_since_ms;
    return false;
}

int brake_release(struct brake *b, const char *by, const char *why, struct err *e)
{
    (void)b;
    (void)by;
    (void)why;
    return err_set(e, ERR_NOTFOUND, 0, "no brake in this build");
}

size_t brake_counts(const struct brake *b, int64_t now_ms, struct brake_count *ret, size_t max)
{
    (void)b;
    (void)now_ms;
    (void)ret;
    (void)max;
    return 0;
}
