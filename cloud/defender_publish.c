/* cloud/defender_publish.c -- the script into the library, and its hash read back.
 *
 *   put_now      one form of several parts, its boundary in none of them
 *   on_put       a clear no: end. Agreed or silent: go and look
 *   on_library   the hash that the library gives is the file's: that, and nothing else, is success
 *
 * Only ever under a name of our own: the library is everybody's (defender-endpoint.md
 * 6).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "cloud/defender_inside.h"
#include "cloud/field.h"

enum { BOUNDARY_RAW = 18, BOUNDARY = 6 + 2 * BOUNDARY_RAW + 1, PUT_MS = 60 * 1000 };

static void put_now(struct defender_call *c);
static void on_put(struct defender_call *c, const struct defender_answer *a, const struct err *e);
static void on_library(struct defender_call *c, const struct defender_answer *a,
                       const struct err *e);
static void finish(struct defender_call *c, const struct err *e);

/* --- a form (RFC 7578) ------------------------------------------------------------------------ */

static int choose_boundary(char boundary[BOUNDARY], const void *file, size_t n, struct err *e)
{
    uint8_t raw[BOUNDARY_RAW];

    do {
        char hex[2 * BOUNDARY_RAW + 1];

        if (id_random(raw, sizeof(raw), e) < 0)
            return -1;
        id_hex(hex, raw, sizeof(raw));
        (void)snprintf(boundary, BOUNDARY, "cordon%s", hex);
    } while (memmem(file, n, boundary, BOUNDARY - 1) != NULL);
    return 0;
}

static void add_field(struct text *t, const char *boundary, const char *name, const char *value)
{
    text_addf(t, "--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", boundary,
              name, value);
}

static int write_form(struct defender_call *c, const void *file, size_t n, struct err *e)
{
    struct text *t = &c->body;
    char boundary[BOUNDARY];

    if (choose_boundary(boundary, file, n, e) < 0)
        return -1;
    add_field(t, boundary, "Description", "cordon: disables or enables one account of the domain");
    add_field(t, boundary, "ParametersDescription", "-Payload: an order of cordon's, base64url");
    add_field(t, boundary, "HasParameters", "true");
    add_field(t, boundary, "OverrideIfExists", "true");
    text_addf(t,
              "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\n"
              "Content-Type: application/octet-stream\r\n\r\n",
              boundary, c->script);
    text_addn(t, file, n);
    text_addf(t, "\r\n--%s--\r\n", boundary);
    (void)snprintf(c->form_type, sizeof(c->form_type), "multipart/form-data; boundary=%s",
                   boundary);
    return text_check(t, "Defender: the script", e);
}

int defender_publish_start(struct defender *d, const char *name, const void *script, size_t n,
                           defender_publish_cb cb, void *arg, struct defender_call **ret_call,
                           struct err *e)
{
    CLEANUP(defender_call_freep) struct defender_call *c = NULL;
    uint8_t hash[ID_SHA256];

    if (n == 0 || n > DEFENDER_SCRIPT_MAX)
        return err_set(e, ERR_USAGE, 0, "Defender: a script of %zu bytes", n);
    if (name != NULL && !defender_script_name_ok(name))
        return err_set(e, ERR_USAGE, 0, "Defender: '%.80s' is no name of a script", name);
    if (defender_call_new(d, DEFENDER_PUT, arg, &c, e) < 0)
        return -1;
    field_copy(c->script, sizeof(c->script), name != NULL ? name : d->script);
    if (id_sha256(script, n, hash, e) < 0 || write_form(c, script, n, e) < 0 ||
        defender_wait(c, 0, put_now, e) < 0)
        return -1;
    id_hex(c->sha256_hex, hash, sizeof(hash));
    c->publish_cb = cb;
    if (ret_call != NULL)
        *ret_call = c;
    (void)TAKE(c);
    return 0;
}

static void put_now(struct defender_call *c)
{
    const struct defender_request r = {.method = "POST",
                                       .type = c->form_type,
                                       .needs = DEFENDER_LIBRARY,
                                       .try_ms = PUT_MS,
                                       .all_ms = 2 * PUT_MS,
                                       .then = on_put};

    defender_url(c, "/api/libraryfiles");
    defender_ask(c, &r);
}

static void on_put(struct defender_call *c, const struct defender_answer *a, const struct err *e)
{
    const struct defender_request r = {
        .method = "GET", .needs = DEFENDER_LIBRARY, .then = on_library};

    (void)a; /* its own word is no proof */
    c->unclear = e != NULL && e->code == ERR_UNPROVEN;
    if (e != NULL && !c->unclear) {
        finish(c, e);
        return;
    }
    if (c->unclear)
        c->why_unclear = *e;
    text_clear(&c->body);
    defender_url(c, "/api/libraryfiles");
    defender_ask(c, &r);
}

static void on_library(struct defender_call *c, const struct defender_answer *a,
                       const struct err *e)
{
    char have[65];
    struct err mine;

    if (e == NULL && defender_read_library(a->json, c->script, have, &mine) < 0)
        e = &mine;
    if (e == NULL && strcmp(have, c->sha256_hex) == 0) {
        finish(c, NULL);
        return;
    }
    if (c->unclear)
        mine = c->why_unclear;
    else if (e != NULL)
        (void)err_set(&mine, ERR_UNPROVEN, e->native,
                      "Defender took the script, and its hash could not be read back: %.300s",
                      e->msg);
    else
        (void)err_set(&mine, ERR_UNPROVEN, 0,
                      "Defender took the script, and its library has another one: SHA-256 %s, not "
                      "%s",
                      have, c->sha256_hex);
    finish(c, &mine);
}

static void finish(struct defender_call *c, const struct err *e)
{
    defender_call_detach(c);
    c->publish_cb(c->arg, e == NULL ? c->sha256_hex : NULL, e);
    defender_call_free(c);
}
