/* ldap/renew.c -- see renew.h. */
#include "ldap/renew.h"

#include <krb5/krb5.h>
#include <sys/stat.h>

#define FIRST_MS (5 * 1000)
#define LAST_MS (5 * 60 * 1000)
#define WRONG_KEY_MS (60 * 60 * 1000) /* somebody may have mended the account, not the keytab */
#define AFTER_GOOD_MS (10 * 60 * 1000)

void ad_keytab_mark(const char *path, struct ad_keytab_mark *ret)
{
    struct stat st;

    *ret = (struct ad_keytab_mark){0};
    if (stat(path, &st) < 0)
        return;
    ret->device = st.st_dev;
    ret->inode = st.st_ino;
    ret->size = (uint64_t)st.st_size;
    ret->modified_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    ret->changed_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
}

bool ad_keytab_same(const struct ad_keytab_mark *a, const struct ad_keytab_mark *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns;
}

bool ad_renew_is_wrong_key(int native)
{
    return native == (int)KRB5KDC_ERR_PREAUTH_FAILED || native == (int)KRB5KRB_AP_ERR_BAD_INTEGRITY;
}

bool ad_renew_may(const struct ad_renew *r, const struct ad_keytab_mark *keytab, uint64_t now_ms)
{
    /* Another keytab is worth a try, but where it is the KDC that does not answer. */
    if (r->failures == 0 && !ad_keytab_same(&r->tried, keytab))
        return true;
    return now_ms >= r->not_before_ms;
}

void ad_renew_asked(struct ad_renew *r, const struct ad_keytab_mark *keytab)
{
    r->tried = *keytab;
}

void ad_renew_answered(struct ad_renew *r, const struct err *e, int64_t left_ms, uint64_t now_ms)
{
    bool wrong_key = e != NULL && ad_renew_is_wrong_key(e->native);
    uint64_t wait = FIRST_MS;

    if (e == NULL || wrong_key) {
        r->failures = 0;
    } else {
        for (unsigned i = 0; i < r->failures && wait < LAST_MS; i++)
            wait *= 2;
        r->failures++;
    }
    if (e == NULL) {
        /* A ticket of a few minutes is renewed in its second half. */
        wait = left_ms <= 0 ? 0 : (uint64_t)left_ms / 2;
        if (wait > AFTER_GOOD_MS)
            wait = AFTER_GOOD_MS;
        if (wait < FIRST_MS)
            wait = FIRST_MS;
    } else if (wrong_key) {
        wait = WRONG_KEY_MS;
    } else if (wait > LAST_MS) {
        wait = LAST_MS;
    }
    r->not_before_ms = now_ms + wait;
}
