/* tests/e2e/winrm_probe.c -- base/winrm against a host, for tests/e2e/winrm_conn.t.
 *
 *   winrm_probe http|https HOST PORT [--ca FILE] [--mech negotiate|kerberos|certificate]
 *               [--certificate FILE] [--service NAME] [--ccache NAME] [--n N] [--pause MS]
 *               [--once] [--anonymous] [--get] [--all-ms MS] [--connect-ms MS] [--renew]
 *
 * N Identify requests (or, with --get, Get requests for a resource that nobody has: the answer is a
 * fault), one after the other over one struct winrm, by the tickets of the default cache. Prints a
 * JSON line for each, and one with the facts. --renew: the ticket cache is named anew before each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/winrm.h"

static struct {
    struct loop *loop;
    struct winrm *w;
    struct winrm_ask ask;
    const char *ccache;
    uint64_t n, done, pause_ms;
    bool renew;
} probe;

static void next(void *arg);

static void print(struct text *t)
{
    (void)puts(t->s);
    (void)fflush(stdout);
    text_done(t);
}

static void identify(struct xml_out *x, const void *arg)
{
    (void)arg;
    xml_out_open(x, "wid:Identify");
    xml_out_close(x);
}

static void print_facts(void)
{
    struct text t = TEXT_INIT(8192);
    struct winrm_facts f;
    struct json_out o;

    winrm_facts(probe.w, &f);
    json_out_init(&o, &t);
    json_out_object(&o, NULL);
    json_out_str(&o, "offered", f.offered);
    json_out_bool(&o, "connected", f.connected);
    json_out_bool(&o, "authenticated", f.authenticated);
    json_out_bool(&o, "bound", f.bound);
    json_out_str(&o, "enctype", f.enctype);
    json_out_bool(&o, "context_lives", f.context_left_s > 0);
    json_out_str(&o, "tls_subject", f.tls_subject);
    json_out_bool(&o, "tls_ends", f.tls_ends_ms > 0);
    json_out_u64(&o, "logins", f.logins);
    json_out_u64(&o, "requests", f.requests);
    json_out_end_object(&o);
    print(&t);
}

static void on_done(void *arg, const struct soap_answer *a, const struct soap_fault *f,
                    const struct err *e)
{
    struct text t = TEXT_INIT(8192);
    struct json_out o;

    (void)arg;
    json_out_init(&o, &t);
    json_out_object(&o, NULL);
    json_out_u64(&o, "n", ++probe.done);
    json_out_str(&o, "code", e != NULL ? err_word(e->code) : "ok");
    if (e != NULL)
        json_out_str(&o, "message", e->msg);
    if (f != NULL)
        json_out_u64(&o, "fault", f->code);
    if (a != NULL) {
        const struct xml_node *id = xml_child(a->body, SOAP_WID, "IdentifyResponse");

        json_out_str(&o, "version", id != NULL ? soap_text(id, SOAP_WID, "ProductVersion") : "");
    }
    json_out_end_object(&o);
    print(&t);
    if (probe.done < probe.n && loop_timer_start(probe.loop, probe.pause_ms, next, NULL) == NULL)
        abort();
}

static void next(void *arg)
{
    struct err e;

    (void)arg;
    if ((probe.renew && winrm_set_ccache(probe.w, probe.ccache, &e) < 0) ||
        winrm_call_start(probe.w, &probe.ask, on_done, NULL, NULL, &e) < 0) {
        (void)fprintf(stderr, "winrm_probe: %s\n", e.msg);
        exit(1);
    }
}

static int usage(void)
{
    (void)fputs("winrm_probe: see tests/e2e/winrm_probe.c\n", stderr);
    return 64;
}

/* The value behind an option, as a number; exits where there is none. */
static uint64_t number(const char *s)
{
    uint64_t v;

    if (s == NULL || !text_to_u64(s, 0, 1000000, &v))
        exit(usage());
    return v;
}

int main(int argc, char **argv)
{
    struct winrm_settings s = {0};
    bool get = false;
    uint64_t v;
    struct err e;

    if (argc < 4)
        return usage();
    s.tls = strcmp(argv[1], "https") == 0;
    s.host = argv[2];
    s.port = (unsigned)number(argv[3]);
    probe.n = 1;
    probe.ask.repeat = WINRM_SAFELY;
    for (int i = 4; i < argc; i++) {
        const char *name = argv[i], *value = argv[i + 1]; /* argv ends with NULL */

        if (strcmp(name, "--once") == 0) {
            probe.ask.repeat = WINRM_ONCE;
        } else if (strcmp(name, "--anonymous") == 0) {
            probe.ask.anonymous = true;
        } else if (strcmp(name, "--get") == 0) {
            get = true;
        } else if (strcmp(name, "--renew") == 0) {
            probe.renew = true;
        } else if (value == NULL) {
            return usage();
        } else if (strcmp(name, "--ca") == 0) {
            s.ca_file = argv[++i];
        } else if (strcmp(name, "--certificate") == 0) {
            s.certificate = argv[++i];
        } else if (strcmp(name, "--service") == 0) {
            s.service = argv[++i];
        } else if (strcmp(name, "--ccache") == 0) {
            s.ccache = probe.ccache = argv[++i];
        } else if (strcmp(name, "--mech") == 0) {
            i++;
            s.auth = strcmp(value, "kerberos") == 0      ? WINRM_KERBEROS
                     : strcmp(value, "certificate") == 0 ? WINRM_CERTIFICATE
                                                         : WINRM_NEGOTIATE;
        } else {
            v = number(argv[++i]);
            if (strcmp(name, "--n") == 0)
                probe.n = v;
            else if (strcmp(name, "--pause") == 0)
                probe.pause_ms = v;
            else if (strcmp(name, "--all-ms") == 0)
                probe.ask.all_ms = v;
            else if (strcmp(name, "--connect-ms") == 0)
                s.connect_ms = v;
            else
                return usage();
        }
    }
    if (get) {
        probe.ask.resource = "http://schemas.example.com/cordon/nothing";
        probe.ask.action = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get";
    } else {
        probe.ask.body = identify;
    }
    if (loop_new(&probe.loop, &e) < 0 || winrm_new(probe.loop, &s, &probe.w, &e) < 0) {
        (void)fprintf(stderr, "winrm_probe: %s\n", e.msg);
        return 1;
    }
    next(NULL);
    (void)loop_run(probe.loop, &e);
    print_facts();
    winrm_free(probe.w);
    loop_free(probe.loop);
    return 0;
}
