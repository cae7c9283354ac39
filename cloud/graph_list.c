/* cloud/graph_list.c -- a list of Graph's, page by page.
 *
 *   graph_list   the first page
 *   on_page      each item to its reader; then the next page, where the token may go there
 *   list_end     the one way out
 *
 * The next page is where the answer says: below our own root only, none twice, and no more than so
 * many (checklist H3).
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cloud/graph_inside.h"
#include "cloud/pages.h"

#define ROOT_LIMIT 1024

struct listing {
    struct graph *g;
    struct graph_ask ask;
    unsigned pages_max;
    struct pages pages;
    graph_each each;
    void (*done)(void *arg, const struct err *e);
    void *arg;
    struct graph_call **at; /* the caller's pointer to the call under way, or NULL */
};

static void on_page(void *arg, const struct graph_answer *a, const struct err *e);

/* Also where the call under way is abandoned: nobody is told then. */
static void list_free(void *arg)
{
    struct listing *s = arg;

    pages_done(&s->pages);
    free(s);
}

static int next_page(struct listing *s, const char *path, struct err *e)
{
    struct graph_call *c;

    if (pages_next(&s->pages, s->pages_max, path, e) < 0)
        return err_wrap(e, "Graph");
    s->ask.path = path;
    if (graph_start(s->g, &s->ask, on_page, s, &c, e) < 0)
        return -1;
    c->forget = list_free;
    if (s->at != NULL)
        *s->at = c;
    return 0;
}

static void list_end(struct listing *s, const struct err *e)
{
    if (s->at != NULL)
        *s->at = NULL;
    s->done(s->arg, e);
    list_free(s);
}

static const char *path_of(const char *url)
{
    const char *host = strstr(url, "://");

    return host != NULL ? strchr(host + 3, '/') : NULL;
}

/* What stands behind the version's root in `next`; NULL: it is not below it. Host and port may be
 * spelt in another way there; the path may not. */
static const char *below_version(const struct listing *s, const char *next)
{
    struct text root = TEXT_INIT(ROOT_LIMIT);
    const char *path = path_of(next), *ours;
    struct err e;

    text_addf(&root, "%s%s", s->g->root, (s->ask.flags & GRAPH_BETA) != 0 ? "/beta" : "/v1.0");
    ours = path_of(root.s);
    if (text_check(&root, "root", &e) < 0 || path == NULL || ours == NULL ||
        !http_same_root(next, root.s) || strncmp(path, ours, strlen(ours)) != 0)
        path = NULL;
    else
        path += strlen(ours);
    text_done(&root);
    return path;
}

static void on_page(void *arg, const struct graph_answer *a, const struct err *e)
{
    struct listing *s = arg;
    const struct cJSON *value = NULL;
    const char *next = NULL, *path;
    struct err mine;

    if (e == NULL) {
        value = json_get(a->json, "value");
        next = json_str(a->json, "@odata.nextLink");
        if (!json_is_array(value)) {
            (void)err_set(&mine, ERR_INVALID, 0, "Graph: a list without \"value\" (request-id %s)",
                          a->request_id);
            e = &mine;
        } else if (json_get(a->json, "@odata.nextLink") != NULL && next == NULL) {
            (void)err_set(&mine, ERR_INVALID, 0, "Graph: a nextLink that is no text");
            e = &mine;
        }
    }
    if (e != NULL) {
        list_end(s, e);
        return;
    }
    for (const struct cJSON *i = json_first(value); i != NULL; i = json_next(i)) {
        if (!s->each(s->arg, i)) {
            list_end(s, NULL);
            return;
        }
    }
    if (next == NULL) {
        list_end(s, NULL);
        return;
    }
    path = below_version(s, next);
    if (path == NULL)
        (void)err_set(&mine, ERR_INVALID, 0,
                      "Graph: the next page is said to be on another host or path; not followed");
    else if (next_page(s, path, &mine) == 0)
        return;
    list_end(s, &mine);
}

int graph_list(struct graph *g, const struct graph_ask *ask, unsigned pages_max, graph_each each,
               void (*done)(void *arg, const struct err *e), void *arg,
               struct graph_call **ret_call, struct err *e)
{
    struct listing *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return err_set(e, ERR_NOMEM, 0, "Graph");
    *s = (struct listing){.g = g,
                          .ask = *ask,
                          .pages_max = pages_max == 0 ? 1 : pages_max,
                          .each = each,
                          .done = done,
                          .arg = arg,
                          .at = ret_call};
    s->ask.body = NULL;
    s->ask.method = "GET";
    if (next_page(s, ask->path, e) < 0) {
        list_free(s);
        return -1;
    }
    return 0;
}
