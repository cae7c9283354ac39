/* base/secret.c -- see secret.h (checklist S1, S3).
 *
 * The bytes live in pages of their own: only whole pages can be locked and kept out of dumps.
 */
#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/id.h"

enum { SECRET_MAX = 1024 * 1024, PASSWORD_MIN = 16, PASSWORD_MAX = 256 };

struct secret {
    uint8_t *p;
    size_t len;    /* bytes that count */
    size_t mapped; /* whole pages */
    bool locked;
};

int secret_new(size_t n, struct secret **ret_secret, struct err *e)
{
    CLEANUP(secret_freep) struct secret *s = NULL;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *p;

    if (n > SECRET_MAX)
        return err_set(e, ERR_TOOBIG, 0, "secret: %zu bytes", n);
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return err_set(e, ERR_NOMEM, 0, "secret");
    s->mapped = (n + page) / page * page; /* at least one page, and a byte behind the end */
    p = mmap(NULL, s->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return err_sys(e, ERR_NOMEM, errno, "secret");
    s->p = p;
    s->len = n;
    /* Where the limit forbids locking we go on: the bytes might reach swap, and the caller can ask.
     */
    s->locked = mlock(s->p, s->mapped) == 0;
    (void)madvise(s->p, s->mapped, MADV_DONTDUMP);
    *ret_secret = TAKE(s);
    return 0;
}

void secret_free(struct secret *s)
{
    if (s == NULL)
        return;
    if (s->p != NULL) {
        explicit_bzero(s->p, s->mapped);
        (void)munmap(s->p, s->mapped); /* unlocks too */
    }
    free(s);
}

void secret_freep(struct secret **s)
{
    secret_free(*s);
}

int secret_keep(struct secret **at, const struct secret *s, struct err *e)
{
    struct secret *copy = NULL;

    if (secret_new(s->len, &copy, e) < 0)
        return -1;
    memcpy(copy->p, s->p, s->len);
    secret_free(*at);
    *at = copy;
    return 0;
}

int secret_from_file(const char *path, size_t max, struct secret **ret_secret, struct err *e)
{
    CLEANUP(cleanup_fdp) int fd = -1;
    CLEANUP(secret_freep) struct secret *s = NULL;
    char shown[TEXT_SHOWN];
    struct stat st;
    size_t got = 0;

    if (file_open_trusted(path, FILE_SECRET, &fd, e) < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return err_sys(e, ERR_IO, errno, "'%s'", text_shown(shown, path));
    if (st.st_size < 0 || (uint64_t)st.st_size > max)
        return err_set(e, ERR_TOOBIG, 0, "'%s' is larger than %zu bytes", text_shown(shown, path),
                       max);

    /* Straight into the locked pages, one byte over: a file that grows meanwhile shows itself. */
    if (secret_new((size_t)st.st_size + 1, &s, e) < 0)
        return -1;
    while (got < s->len) {
        ssize_t n = read(fd, s->p + got, s->len - got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, ERR_IO, errno, "read '%s'", text_shown(shown, path));
        if (n == 0)
            break;
        got += (size_t)n;
    }
    if (got == s->len)
        return err_set(e, ERR_IO, 0, "'%s' changed while we read it", text_shown(shown, path));
    s->len = got;
    *ret_secret = TAKE(s);
    return 0;
}

uint8_t *secret_bytes(struct secret *s)
{
    return s->p;
}

size_t secret_len(const struct secret *s)
{
    return s->len;
}

bool secret_is_locked(const struct secret *s)
{
    return s->locked;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
    uint8_t differs = 0;

    if (a->len != b->len)
        return false;
    for (size_t i = 0; i < a->len; i++)
        differs = (uint8_t)(differs | (a->p[i] ^ b->p[i]));
    return differs == 0;
}

/* --- passwords ---------------------------------------------------------------- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+";
enum { LETTERS = sizeof(alphabet) - 1, FAIR = 256 / LETTERS * LETTERS };

/* Fill p[0..n) with letters, each as likely as the other: bytes past the last whole multiple of
 * the alphabet are thrown away rather than folded back. */
static int draw(uint8_t *p, size_t n, struct err *e)
{
    uint8_t random[64];
    size_t have = 0;
    int rc = 0;

    while (have < n) {
        rc = id_random(random, sizeof(random), e);
        if (rc < 0)
            break;
        for (size_t i = 0; i < sizeof(random) && have < n; i++) {
            if (random[i] < FAIR)
                p[have++] = (uint8_t)alphabet[random[i] % LETTERS];
        }
    }
    explicit_bzero(random, sizeof(random));
    return rc;
}

static bool has_all_classes(const uint8_t *p, size_t n)
{
    bool upper = false, lower = false, digit = false, sign = false;

    for (size_t i = 0; i < n; i++) {
        upper = upper || (p[i] >= 'A' && p[i] <= 'Z');
        lower = lower || (p[i] >= 'a' && p[i] <= 'z');
        digit = digit || (p[i] >= '0' && p[i] <= '9');
        sign = sign || p[i] == '-' || p[i] == '_' || p[i] == '.' || p[i] == '+';
    }
    return upper && lower && digit && sign;
}

int secret_password(size_t len, struct secret **ret_secret, struct err *e)
{
    CLEANUP(secret_freep) struct secret *s = NULL;

    if (len < PASSWORD_MIN || len > PASSWORD_MAX)
        return err_set(e, ERR_INTERNAL, 0, "a password of %zu characters", len);
    if (secret_new(len, &s, e) < 0)
        return -1;
    /* One that lacks a class is thrown away whole: mending it would make some more likely than
     * others. Two in three pass at 16 characters, so 200 tries do not fail by chance. */
    for (int tries = 0; tries < 200; tries++) {
        if (draw(s->p, len, e) < 0)
            return -1;
        if (has_all_classes(s->p, len)) {
            *ret_secret = TAKE(s);
            return 0;
        }
    }
    return err_set(e, ERR_INTERNAL, 0, "password: the random source repeats itself");
}
