/* Security descriptors: built here entry by entry, judged, and cut at every length. (L8) */
#include "ldap/sd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"

/* --- a builder ---------------------------------------------------------------- */

struct build {
    uint8_t b[4096];
    size_t n;
    unsigned count;
};

static void put(struct build *d, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        d->b[d->n++] = (uint8_t)(i < 8 ? v >> (8 * i) : 0);
}

static void begin(struct build *d, uint16_t control)
{
    memset(d, 0, sizeof(*d));
    put(d, 1, 2);
    put(d, control, 2);
    put(d, 0, 12);
    put(d, 20, 4);
    put(d, 4, 2); /* ACL revision */
    put(d, 0, 6); /* size and count: set by end */
}

static struct ad_sid sid(const char *s)
{
    struct ad_sid r;

    assert_int_equal(ad_sid_from_text(s, strlen(s), &r), 0);
    return r;
}

static void ace(struct build *d, uint8_t type, uint8_t flags, uint32_t mask,
                const struct ad_guid *object, const struct ad_guid *inherited, const char *who)
{
    size_t start = d->n;
    struct ad_sid s = sid(who);

    put(d, type, 1);
    put(d, flags, 1);
    put(d, 0, 2);
    put(d, mask, 4);
    if (type == 5 || type == 6 || type == 11 || type == 12) {
        put(d, (object != NULL ? 1U : 0U) | (inherited != NULL ? 2U : 0U), 4);
        if (object != NULL) {
            memcpy(d->b + d->n, object->b, 16);
            d->n += 16;
        }
        if (inherited != NULL) {
            memcpy(d->b + d->n, inherited->b, 16);
            d->n += 16;
        }
    }
    memcpy(d->b + d->n, s.b, s.n);
    d->n += s.n;
    if (type >= 9 && type <= 12)
        put(d, 0x78747261, 4); /* a condition: "artx" */
    d->b[start + 2] = (uint8_t)(d->n - start);
    d->b[start + 3] = (uint8_t)((d->n - start) >> 8);
    d->count++;
}

static void end(struct build *d)
{
    d->b[22] = (uint8_t)(d->n - 20);
    d->b[23] = (uint8_t)((d->n - 20) >> 8);
    d->b[24] = (uint8_t)d->count;
}

#define CR AD_MASK_CONTROL_ACCESS
#define ALICE "S-1-5-21-1-2-3-1104"
#define DESK "S-1-5-21-1-2-3-1200"
#define OTHERS "S-1-5-21-1-2-3-1300"

/* --- cannot change password --------------------------------------------------- */

static bool cannot(struct build *d)
{
    struct err e;
    bool r = false;

    end(d);
    if (ad_sd_cannot_change_password(d->b, d->n, &r, &e) < 0)
        fail_msg("%s", e.msg);
    return r;
}

static void cannot_change_password(void **state)
{
    const struct ad_guid *change = &ad_guid_change_password;
    struct build d;

    (void)state;
    begin(&d, 0x8004);
    assert_false(cannot(&d)); /* empty list */

    begin(&d, 0x8004);
    ace(&d, 6, 0, CR, change, NULL, "S-1-1-0");
    ace(&d, 6, 0, CR, change, NULL, "S-1-5-10");
    ace(&d, 0, 0, 0xf01ff, NULL, NULL, "S-1-5-32-544");
    assert_true(cannot(&d));

    begin(&d, 0x8004); /* one of the two is enough */
    ace(&d, 5, 0, CR, change, NULL, "S-1-5-10");
    ace(&d, 6, 0, CR, change, NULL, "S-1-1-0");
    assert_true(cannot(&d));
    begin(&d, 0x8004);
    ace(&d, 6, 0, CR, change, NULL, "S-1-5-10");
    assert_true(cannot(&d));
    begin(&d, 0x8004); /* all extended rights, with and without the object form */
    ace(&d, 1, 0, CR, NULL, NULL, "S-1-1-0");
    assert_true(cannot(&d));
    begin(&d, 0x8004);
    ace(&d, 6, 0, CR, NULL, NULL, "S-1-1-0");
    assert_true(cannot(&d));

    begin(&d, 0x8004);                                           /* and what is none: */
    ace(&d, 5, 0, CR, change, NULL, "S-1-1-0");                  /* an allow */
    ace(&d, 6, 0, CR, change, NULL, OTHERS);                     /* of another */
    ace(&d, 6, 0, CR, &ad_guid_reset_password, NULL, "S-1-1-0"); /* another right */
    ace(&d, 6, 0, 0x10, change, NULL, "S-1-1-0");                /* another bit */
    ace(&d, 6, 8, CR, change, NULL, "S-1-1-0");                  /* for what is below only */
    assert_false(cannot(&d));
}

/* --- replicators --------------------------------------------------------------- */

struct list {
    char text[1024];
    unsigned left;
};

static bool add(void *arg, const struct ad_sid *s)
{
    struct list *l = arg;
    char buf[AD_SID_TEXT];
    size_t n = strlen(l->text);

    if (l->left == 0)
        return false;
    l->left--;
    (void)snprintf(l->text + n, sizeof(l->text) - n, "%s ", ad_sid_to_text(s, buf));
    return true;
}

static void replicators(void **state)
{
    const struct ad_guid in_filtered_set =
        AD_GUID_INIT(89e95b76, 444d, 4c62, 99, 1a, 0f, ac, be, da, 64, 0c);
    struct list l = {.left = 100};
    struct build d;
    struct err e;

    (void)state;
    begin(&d, 0x8004);
    ace(&d, 5, 0, CR, &ad_guid_get_changes, NULL, "S-1-5-9");
    ace(&d, 5, 0, CR, &ad_guid_get_changes_all, NULL, "S-1-5-21-1-2-3-516");
    ace(&d, 5, 0, CR, &in_filtered_set, NULL, OTHERS);
    ace(&d, 5, 0, 0x30, &ad_guid_get_changes_all, NULL, OTHERS);
    ace(&d, 6, 0, CR, &ad_guid_get_changes_all, NULL, OTHERS);
    ace(&d, 5, 0x0a, CR, &ad_guid_get_changes_all, NULL, OTHERS); /* inherit only */
    ace(&d, 5, 0, CR, NULL, NULL, ALICE);
    ace(&d, 0, 0, 0xe01ff, NULL, NULL, "S-1-5-32-544");
    ace(&d, 0, 0, AD_MASK_GENERIC_ALL, NULL, NULL, "S-1-5-18");
    ace(&d, 0, 0, 0x20094, NULL, NULL, "S-1-5-11"); /* read */
    ace(&d, 9, 0, CR, NULL, NULL, DESK);            /* under a condition: counted */
    ace(&d, 11, 0, CR, &ad_guid_get_changes, NULL, DESK);
    end(&d);
    assert_int_equal(ad_sd_replicators(d.b, d.n, add, &l, &e), 0);
    assert_string_equal(l.text, "S-1-5-9 S-1-5-21-1-2-3-516 " ALICE " S-1-5-32-544 S-1-5-18 " DESK
                                " " DESK " ");

    l = (struct list){.left = 2};
    assert_int_equal(ad_sd_replicators(d.b, d.n, add, &l, &e), -1);
    assert_int_equal(e.code, ERR_TOOBIG);

    /* a NULL DACL lets everybody do everything */
    begin(&d, 0x8004);
    memset(d.b + 16, 0, 4);
    l = (struct list){.left = 2};
    assert_int_equal(ad_sd_replicators(d.b, d.n, add, &l, &e), 0);
    assert_string_equal(l.text, "S-1-1-0 ");
}

/* --- reset ----------------------------------------------------------------------- */

static enum ad_right reset(struct build *d, bool children, const struct ad_guid *class)
{
    const struct ad_sid mine[] = {sid(ALICE), sid(DESK)};
    enum ad_right r = AD_RIGHT_NONE;
    struct ad_sid by;
    struct err e;

    end(d);
    if (ad_sd_reset_right(d->b, d->n, mine, 2, class, children, &r, &by, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(by.n != 0, r != AD_RIGHT_NONE);
    return r;
}

static void reset_right(void **state)
{
    const struct ad_guid *right = &ad_guid_reset_password, *user = &ad_guid_class_user,
                         *person = &ad_guid_class_inetorgperson;
    struct build d;

    (void)state;
    begin(&d, 0x8004);
    ace(&d, 5, 0, CR, right, NULL, OTHERS);
    ace(&d, 5, 0, CR, &ad_guid_change_password, NULL, DESK);
    assert_int_equal(reset(&d, false, user), AD_RIGHT_NONE);
    ace(&d, 5, 0, CR, right, NULL, DESK);
    assert_int_equal(reset(&d, false, user), AD_RIGHT_YES);

    /* the first that speaks decides */
    begin(&d, 0x8004);
    ace(&d, 6, 0, CR, right, NULL, ALICE);
    ace(&d, 5, 0, CR, right, NULL, DESK);
    assert_int_equal(reset(&d, false, user), AD_RIGHT_DENIED);
    begin(&d, 0x8004);
    ace(&d, 5, 0, CR, right, NULL, DESK);
    ace(&d, 6, 0x10, CR, right, NULL, ALICE); /* inherited, after the explicit one */
    assert_int_equal(reset(&d, false, user), AD_RIGHT_YES);
    begin(&d, 0x8004);
    ace(&d, 1, 0, CR, NULL, NULL, DESK);
    ace(&d, 0, 0, 0xf01ff, NULL, NULL, ALICE);
    assert_int_equal(reset(&d, false, user), AD_RIGHT_DENIED);

    /* an OU's entry for the users below it: not about the OU, and not about others */
    begin(&d, 0x8004);
    ace(&d, 5, 0x0a, CR, right, user, DESK); /* (OA;CIIO;CR;...;U;...) */
    assert_int_equal(reset(&d, true, user), AD_RIGHT_YES);
    assert_int_equal(reset(&d, true, person), AD_RIGHT_NONE);
    assert_int_equal(reset(&d, false, user), AD_RIGHT_NONE);
    /* the same as the user's object shows it */
    begin(&d, 0x8004);
    ace(&d, 5, 0x12, CR, right, user, DESK);
    assert_int_equal(reset(&d, false, user), AD_RIGHT_YES);
    /* an entry on the OU alone says nothing of what is below */
    begin(&d, 0x8004);
    ace(&d, 5, 0, CR, right, NULL, DESK);
    assert_int_equal(reset(&d, true, user), AD_RIGHT_NONE);
}

/* --- what is not a descriptor ---------------------------------------------------- */

static void refused(const struct build *d, size_t n)
{
    /* Exactly n bytes on the heap, so that a read past them is seen. */
    uint8_t *b = malloc(n + (n == 0));
    struct list l = {.left = 9};
    enum ad_right right;
    struct ad_sd sd;
    struct err e;
    bool cannot_;

    assert_non_null(b);
    memcpy(b, d->b, n);
    assert_int_equal(ad_sd_open(b, n, &sd, &e), -1);
    assert_int_equal(e.code, ERR_INVALID);
    /* and no question is answered of it */
    assert_int_equal(ad_sd_cannot_change_password(b, n, &cannot_, &e), -1);
    assert_int_equal(ad_sd_replicators(b, n, add, &l, &e), -1);
    assert_int_equal(ad_sd_reset_right(b, n, NULL, 0, &ad_guid_class_user, false, &right, NULL, &e),
                     -1);
    assert_int_equal(e.code, ERR_INVALID);
    assert_string_equal(l.text, "");
    free(b);
}

static void broken(void **state)
{
    struct build d, bad;
    struct ad_sd sd;
    struct ad_ace a;
    struct err e;
    unsigned n = 0;

    (void)state;
    begin(&d, 0x9004);
    ace(&d, 0, 0, 0xf01ff, NULL, NULL, "S-1-5-32-544");
    ace(&d, 5, 0, CR, &ad_guid_get_changes, &ad_guid_class_user, ALICE);
    end(&d);
    assert_int_equal(ad_sd_open(d.b, d.n, &sd, &e), 0);
    assert_true(sd.is_protected);
    assert_false(sd.is_null);
    while (ad_sd_next(&sd, &a))
        n++;
    assert_int_equal(n, 2);
    assert_true(a.has_object && a.has_inherited);

    for (size_t i = 0; i < d.n; i++)
        refused(&d, i);

    static const struct {
        size_t at;
        uint8_t value;
    } pokes[] = {
        {0, 2},     /* revision */
        {3, 0x10},  /* not self-relative */
        {2, 0},     /* no DACL was given */
        {16, 4},    /* DACL inside the header */
        {19, 0x80}, /* far outside */
        {20, 3},    /* ACL revision */
        {22, 7},    /* list smaller than its head */
        {23, 9},    /* larger than all */
        {24, 3},    /* more entries than there are */
        {30, 0},    /* an entry of no size */
        {30, 0x16}, /* not a multiple of four */
        {31, 1},    /* larger than the list */
        {36, 2},    /* SID revision */
        {30, 4},    /* too short for its mask */
        {54, 4},    /* the same, for an object entry: its mask, */
        {54, 8},    /* its flags, */
        {54, 24},   /* its object, */
        {54, 40},   /* its class */
        {37, 15},   /* SID longer than its entry */
    };
    for (size_t i = 0; i < ARRAY_LEN(pokes); i++) {
        bad = d;
        bad.b[pokes[i].at] = pokes[i].value;
        refused(&bad, bad.n);
    }

    /* an entry of a type that is not known is passed over; its body is not read */
    begin(&d, 0x8004);
    ace(&d, 0x42, 0, 0, NULL, NULL, ALICE);
    end(&d);
    assert_int_equal(ad_sd_open(d.b, d.n, &sd, &e), 0);
    assert_true(ad_sd_next(&sd, &a));
    assert_int_equal(a.kind, AD_ACE_OTHER);
    assert_int_equal(a.sid.n, 0);
    assert_false(ad_sd_next(&sd, &a));

    uint8_t *big = calloc(1, AD_SD_MAX_BYTES + 1);

    assert_int_equal(ad_sd_open(big, AD_SD_MAX_BYTES + 1, &sd, &e), -1);
    assert_int_equal(e.code, ERR_TOOBIG);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cannot_change_password),
        cmocka_unit_test(replicators),
        cmocka_unit_test(reset_right),
        cmocka_unit_test(broken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
