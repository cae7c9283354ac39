/* cloud/defender_fetch.c -- what the script on the machine wrote.
 *
 *   ask_link    where it is: the link is good for half an hour, and is its own credential
 *   on_link     its host is one of the list, or nothing is fetched
 *   on_result   no token went there; no redirect is followed
 */
#include <string.h>

#include "base/cleanup.h"
#include "cloud/defender_inside.h"

enum { LINK_TRIES = 3, RESULT_MS = 60 * 1000 };

static void ask_link(struct defender_call *c);
static void on_link(struct defender_call *c, const struct defender_answer *a, const struct err *e);
static void on_result(struct defender_call *c, const struct defender_answer *a,
                      const struct err *e);

void defender_fetch(struct defender_call *c,
                    void (*then)(struct defender_call *c, const struct defender_output *out,
                                 const struct err *why_not))
{
    c->on_output = then;
    ask_link(c);
}

static void ask_link(struct defender_call *c)
{
    const struct defender_request r = {.method = "GET", .needs = DEFENDER_READS, .then = on_link};

    defender_url(c, "/api/machineactions/");
    text_add(&c->url, c->action_id);
    text_add(&c->url, "/GetLiveResponseResultDownloadLink(index=0)");
    defender_ask(c, &r);
}

/* The result may be there a little later than the end. True: it is asked for once more. */
static bool link_again(struct defender_call *c)
{
    struct err e;

    return ++c->link_tries < LINK_TRIES && defender_wait(c, c->d->wait_ms / 2, ask_link, &e) == 0;
}

static void on_link(struct defender_call *c, const struct defender_answer *a, const struct err *e)
{
    const struct defender_request r = {
        .method = "GET", .bare = true, .all_ms = RESULT_MS, .then = on_result};
    const char *url = e == NULL ? json_str(a->json, "value") : NULL;
    struct err mine;

    if (e != NULL && e->code == ERR_NOTFOUND && link_again(c))
        return;
    if (e == NULL && url == NULL)
        (void)err_set(&mine, ERR_INVALID, 0, "Defender: no link to the result");
    else if (e == NULL && !defender_host_ok(url, c->d->hosts, c->d->host_count))
        (void)err_set(&mine, ERR_INVALID, 0,
                      "Defender: the link to the result leads to a host that is none of its own: "
                      "not fetched");
    else if (e != NULL)
        mine = *e;
    else {
        /* It is its own credential: to nobody's log. */
        text_clear(&c->url);
        text_add(&c->url, url);
        defender_ask(c, &r);
        return;
    }
    c->on_output(c, NULL, &mine);
}

static void on_result(struct defender_call *c, const struct defender_answer *a, const struct err *e)
{
    struct defender_output out;
    struct err mine;

    text_wipe(&c->url);
    if (e != NULL) {
        /* 403: the link was good for half an hour. 404: not there yet. */
        if ((e->native == 403 || e->native == 404) && link_again(c))
            return;
        c->on_output(c, NULL, e);
        return;
    }
    if (defender_read_output(a->body, a->len, &out, &mine) < 0)
        c->on_output(c, NULL, &mine);
    else
        c->on_output(c, &out, NULL);
    text_done(&out.script);
}
