/* cloud/token_managed.c -- where a managed identity is asked for a token, and Azure Arc's proof.
 *
 * On an Azure VM the metadata service (IMDS) answers whoever reaches it from inside. On a server
 * with the Azure Connected Machine agent (Arc) the agent answers on loopback, and wants to see that
 * we may read a file that it names: that name comes from whoever listens on that port, so it is
 * taken apart before anything is opened. entra-graph.md 2.3, 2.4.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cloud/token_inside.h"

#define IMDS_URL "http://169.254.169.254"
#define IMDS_PATH "/metadata/identity/oauth2/token"
#define IMDS_VERSION "2018-02-01"
#define ARC_URL "http://127.0.0.1:40342" IMDS_PATH
#define ARC_VERSION "2020-06-01"
#define ARC_AGENT "/opt/azcmagent/bin/himds"
#define ARC_TOKENS "/var/opt/azcmagent/tokens"

enum { URL_MAX = 4096 };

/* "http://" and a loopback address, a port, a path: nowhere else may an endpoint be that the
 * environment names. */
static bool is_loopback_url(const char *s)
{
    static const char *const roots[] = {"http://127.0.0.1:", "http://localhost:", "http://[::1]:"};

    for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
        const char *at = s + strlen(roots[i]);
        size_t digits;

        if (!text_starts(s, roots[i]))
            continue;
        digits = strspn(at, "0123456789");
        if (digits == 0 || digits > 5 || at[digits] != '/')
            return false;
        at += digits;
        return strlen(at) < 256 && strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                              "0123456789/-_.") == strlen(at);
    }
    return false;
}

int token_managed_place(struct token_conf *c, const struct token_settings *s, struct err *e)
{
    const char *arc = s->identity_endpoint, *imds = s->imds_url != NULL ? s->imds_url : IMDS_URL;
    char shown[TEXT_SHOWN];
    struct text url = TEXT_INIT(URL_MAX);

    if (arc != NULL && !is_loopback_url(arc))
        return err_set(e, ERR_CONFIG, 0,
                       "IDENTITY_ENDPOINT '%s' is not on this machine: it is not asked",
                       text_shown(shown, arc));
    if (arc == NULL && strcmp(imds, IMDS_URL) == 0 && access(ARC_AGENT, F_OK) == 0)
        arc = ARC_URL;
    c->way = arc != NULL ? TOKEN_BY_ARC : TOKEN_BY_IMDS;
    if (c->way == TOKEN_BY_IMDS && http_check_root(imds, /* plain_local */ true, e) < 0)
        return -1;

    if (c->way == TOKEN_BY_ARC)
        text_addf(&url, "%s?api-version=" ARC_VERSION "&resource=", arc);
    else
        text_addf(&url, "%s" IMDS_PATH "?api-version=" IMDS_VERSION "&resource=", imds);
    http_escape(&url, c->scope, strlen(c->scope));
    if (c->client_id != NULL) {
        text_add(&url, "&client_id=");
        http_escape(&url, c->client_id, strlen(c->client_id));
    }
    c->arc_tokens = strdup(s->arc_tokens != NULL ? s->arc_tokens : ARC_TOKENS);
    if (text_check(&url, "URL", e) < 0) {
        text_done(&url);
        return -1;
    }
    c->url = text_take(&url);
    text_done(&url);
    if (c->url == NULL || c->arc_tokens == NULL)
        return err_set(e, ERR_NOMEM, 0, "no memory");
    return 0;
}

/* --- Azure Arc ---------------------------------------------------------------------- */

static int bad_path(const char *path, const char *why, struct err *e)
{
    char shown[TEXT_SHOWN];

    return err_set(e, ERR_INVALID, 0, "Azure Arc's agent names the file '%s', which %s: not opened",
                   text_shown(shown, path), why);
}

/* The last part of `path`, where `path` is a file of `dir` itself; else NULL. */
static const char *leaf_in(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    while (n > 1 && dir[n - 1] == '/')
        n--;
    if (strncmp(path, dir, n) != 0 || path[n] != '/' || strchr(path + n + 1, '/') != NULL)
        return NULL;
    return path + n + 1;
}

int token_arc_path(const char *header, const char *dir, char path[TOKEN_ARC_PATH_MAX],
                   struct err *e)
{
    static const char scheme[] = "Basic realm=";
    char shown[TEXT_SHOWN];
    const char *s, *leaf;
    size_t n;

    if (strncasecmp(header, scheme, sizeof(scheme) - 1) != 0)
        return err_set(e, ERR_INVALID, 0, "Azure Arc's agent asks for '%s', not for a file",
                       text_shown(shown, header));
    s = header + sizeof(scheme) - 1;
    n = strlen(s);
    while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
        n--;
    if (n >= 2 && s[0] == '"' && s[n - 1] == '"') {
        s++;
        n -= 2;
    }
    if (n >= TOKEN_ARC_PATH_MAX)
        return err_set(e, ERR_INVALID, 0, "Azure Arc's agent names a file by %zu bytes", n);
    memcpy(path, s, n);
    path[n] = '\0';
    for (size_t i = 0; i < n; i++) {
        if (path[i] < ' ' || path[i] > '~')
            return bad_path(path, "has hidden characters", e);
    }
    leaf = leaf_in(path, dir);
    if (leaf == NULL)
        return bad_path(path, "is not in its folder of tokens", e);
    n = strlen(leaf);
    if (n <= 4 || n > 255 || strcmp(leaf + n - 4, ".key") != 0)
        return bad_path(path, "does not end in .key", e);
    return 0;
}

int token_arc_key(const char *path, const char *dir, struct secret **ret_basic, struct err *e)
{
    CLEANUP(cleanup_fdp) int folder = -1, fd = -1;
    CLEANUP(secret_freep) struct secret *read_in = NULL, *basic = NULL;
    const char *leaf = leaf_in(path, dir);
    struct stat st;
    uint8_t *p;
    size_t got = 0;

    if (leaf == NULL || leaf[0] == '\0')
        return bad_path(path, "is not in its folder of tokens", e);
    /* O_NONBLOCK: a pipe in its place must not hold us up. */
    folder = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder >= 0)
        fd = openat(folder, leaf, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ELOOP)
        return bad_path(path, "is a link", e);
    if (fd < 0 && (errno == EACCES || errno == EPERM))
        return err_set(e, ERR_DENIED, errno,
                       "Azure Arc's key file may not be read: add the user that cordon runs as to "
                       "the group himds");
    if (fd < 0)
        return err_sys(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, errno, "Azure Arc's key file");
    if (fstat(fd, &st) < 0)
        return err_sys(e, ERR_IO, errno, "Azure Arc's key file");
    if (!S_ISREG(st.st_mode))
        return bad_path(path, "is no regular file", e);
    if (st.st_size <= 0 || st.st_size > TOKEN_ARC_KEY_MAX)
        return bad_path(path, "is empty or larger than 4096 bytes", e);

    /* One byte over, so that a file that grows meanwhile shows itself. */
    if (secret_new(TOKEN_ARC_KEY_MAX + 1, &read_in, e) < 0)
        return -1;
    p = secret_bytes(read_in);
    while (got <= TOKEN_ARC_KEY_MAX) {
        ssize_t n = read(fd, p + got, TOKEN_ARC_KEY_MAX + 1 - got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, ERR_IO, errno, "Azure Arc's key file");
        if (n == 0)
            break;
        got += (size_t)n;
    }
    if (got > TOKEN_ARC_KEY_MAX)
        return bad_path(path, "is empty or larger than 4096 bytes", e);
    while (got > 0 && (p[got - 1] == '\n' || p[got - 1] == '\r'))
        got--; /* a header cannot carry it (H5) */
    if (got == 0)
        return bad_path(path, "is empty or larger than 4096 bytes", e);
    for (size_t i = 0; i < got; i++) {
        if (p[i] < ' ' || p[i] > '~')
            return bad_path(path, "holds what no header can carry", e);
    }

    if (secret_new(got + 6, &basic, e) < 0)
        return -1;
    memcpy(secret_bytes(basic), "Basic ", 6);
    memcpy(secret_bytes(basic) + 6, p, got);
    *ret_basic = TAKE(basic);
    return 0;
}
