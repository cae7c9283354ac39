/* ldap/count.c -- see count.h. */
#include "ldap/count.h"

#include <stdlib.h>

#include "base/text.h"

/* Small pages, so that nobody else who asks this DC has to wait behind one. Five million users:
 * then something is wrong. */
enum { PAGE = 100, PAGES_MAX = 50 * 1000 };

struct count {
    struct ad_conn *conn;
    char *base, *filter;
    struct ad_page page;
    uint64_t n;
    unsigned pages;
    ad_count_cb cb;
    void *arg;
};

static void on_page(void *arg, const struct ad_entry *entries, size_t count, const struct err *e);

static void finish(struct count *x, const struct err *e)
{
    x->cb(x->arg, e == NULL ? x->n : 0, e);
    free(x->base);
    free(x->filter);
    free(x);
}

static int next(struct count *x, struct err *e)
{
    static const char *const attrs[] = {"1.1", NULL}; /* none (RFC 4511 4.5.1.8) */
    const struct ad_search s = {.base = x->base,
                                .subtree = true,
                                .filter = x->filter,
                                .attrs = attrs,
                                .limit = 2 * PAGE,
                                .page = &x->page};

    return ad_search_start(x->conn, &s, on_page, x, NULL, e);
}

static void on_page(void *arg, const struct ad_entry *entries, size_t count, const struct err *e)
{
    struct count *x = arg;
    struct err mine;

    (void)entries;
    x->n += count;
    if (e == NULL && x->page.n > 0 && ++x->pages == PAGES_MAX) {
        (void)err_set(&mine, ERR_TOOBIG, 0, "more than %d pages", PAGES_MAX);
        e = &mine;
    }
    if (e == NULL && x->page.n > 0 && next(x, &mine) < 0)
        e = &mine;
    else if (e == NULL && x->page.n > 0)
        return;
    finish(x, e);
}

int ad_count_start(struct ad_conn *c, const char *base, const char *filter, ad_count_cb cb,
                   void *arg, struct err *e)
{
    struct count *x = calloc(1, sizeof(*x));

    if (x == NULL || (x->base = text_dup(base)) == NULL || (x->filter = text_dup(filter)) == NULL) {
        if (x != NULL)
            free(x->base);
        free(x);
        return err_set(e, ERR_NOMEM, 0, "count");
    }
    x->conn = c;
    x->page.size = PAGE;
    x->cb = cb;
    x->arg = arg;
    if (next(x, e) == 0)
        return 0;
    free(x->base);
    free(x->filter);
    free(x);
    return -1;
}
