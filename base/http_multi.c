/* base/http_multi.c -- curl's multi handle on our loop: its sockets are watched, its timer is kept.
 *
 * After each socket event and each timer curl gets its turn, and then http_turned (http.c) takes
 * what it has finished. curl is never called from inside one of its own callbacks: loop_* functions
 * only start what comes later.
 */
#include <stdlib.h>

#include "base/http_inside.h"

enum { CACHED_CONNECTIONS = 64 };

struct http_socket { /* one that curl wants to have watched */
    struct http *h;
    struct http_socket *next, *prev;
    struct loop_watch *watch;
    curl_socket_t fd;
};

static void turn(struct http *h, curl_socket_t fd, int events)
{
    int running;

    http_turned(h, curl_multi_socket_action(h->multi, fd, events, &running)); /* may free `h` */
}

static void on_socket(void *arg, int events)
{
    struct http_socket *s = arg;
    int what = ((events & LOOP_READ) != 0 ? CURL_CSELECT_IN : 0) |
               ((events & LOOP_WRITE) != 0 ? CURL_CSELECT_OUT : 0);

    turn(s->h, s->fd, what); /* may free `s` and `h`: do not touch them below */
}

static void on_curl_timer(void *arg)
{
    struct http *h = arg;

    h->timer = NULL;
    turn(h, CURL_SOCKET_TIMEOUT, 0); /* may free `h` */
}

static void socket_free(struct http_socket *s)
{
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        s->h->sockets = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    loop_watch_stop(&s->watch);
    free(s);
}

/* CURLMOPT_SOCKETFUNCTION. -1 makes curl give up altogether: see multi_broken. */
static int want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct http *h = arg;
    struct http_socket *s = known;
    int events = ((what & CURL_POLL_IN) != 0 ? LOOP_READ : 0) |
                 ((what & CURL_POLL_OUT) != 0 ? LOOP_WRITE : 0);

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (s != NULL)
            socket_free(s);
        (void)curl_multi_assign(h->multi, fd, NULL);
        return 0;
    }
    if (s != NULL)
        return loop_watch_change(s->watch, events);
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -1;
    *s = (struct http_socket){.h = h, .fd = fd, .next = h->sockets};
    if (h->sockets != NULL)
        h->sockets->prev = s;
    h->sockets = s;
    s->watch = loop_watch_start(h->loop, fd, events, on_socket, s);
    if (s->watch == NULL || curl_multi_assign(h->multi, fd, s) != CURLM_OK) {
        socket_free(s);
        return -1;
    }
    return 0;
}

/* CURLMOPT_TIMERFUNCTION */
static int want_timer(CURLM *multi, long ms, void *arg)
{
    struct http *h = arg;

    (void)multi;
    loop_timer_stop(&h->timer);
    if (ms < 0)
        return 0;
    h->timer = loop_timer_start(h->loop, (uint64_t)ms, on_curl_timer, h);
    return h->timer != NULL ? 0 : -1;
}

CURLM *http_multi_make(struct http *h)
{
    CURLM *m = curl_multi_init();

    if (m == NULL || curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, want_socket) != CURLM_OK ||
        curl_multi_setopt(m, CURLMOPT_SOCKETDATA, h) != CURLM_OK ||
        curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, want_timer) != CURLM_OK ||
        curl_multi_setopt(m, CURLMOPT_TIMERDATA, h) != CURLM_OK ||
        curl_multi_setopt(m, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX) != CURLM_OK ||
        curl_multi_setopt(m, CURLMOPT_MAX_HOST_CONNECTIONS, (long)h->connections) != CURLM_OK ||
        curl_multi_setopt(m, CURLMOPT_MAXCONNECTS,
                          h->one_connection ? 1L : (long)CACHED_CONNECTIONS) != CURLM_OK) {
        (void)curl_multi_cleanup(m);
        return NULL;
    }
    return m;
}

/* Ends the connections; curl asks us to forget its sockets and its timer meanwhile. */
void http_multi_free(struct http *h)
{
    (void)curl_multi_cleanup(h->multi);
    h->multi = NULL;
    while (h->sockets != NULL)
        socket_free(h->sockets);
    loop_timer_stop(&h->timer);
}
