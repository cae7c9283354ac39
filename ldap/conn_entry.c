/* ldap/conn_entry.c -- what a search gave, decoded in place: names and values point into the
 * message.
 *
 * Bytes of a peer: counted, never copied, never taken for text (L8).
 */
#include "ldap/conn_inside.h"

#include <stdlib.h>

#include "base/text.h"

#define MAX_VALUE (1024 * 1024 - 1) /* one value; a security descriptor has at most 64 KiB */

int conn_entry_decode(LDAP *ld, LDAPMessage *msg, struct ad_entry *en, struct ad_attr **ret_attrs,
                      struct err *e)
{
    struct berval dn, name, *values = NULL;
    struct ad_attr *attrs = NULL;
    size_t count = 0, cap = 0;
    BerElement *ber = NULL;
    int rc;

    rc = ldap_get_dn_ber(ld, msg, &ber, &dn);
    if (rc != LDAP_SUCCESS)
        goto bad;
    while ((rc = ldap_get_attribute_ber(ld, msg, ber, &name, &values)) == LDAP_SUCCESS &&
           name.bv_val != NULL) {
        struct ad_value *mine;
        size_t n = 0;

        if (count == cap) {
            struct ad_attr *more;

            cap = cap == 0 ? 32 : cap * 2;
            more = cap > 4096 ? NULL : realloc(attrs, cap * sizeof(*attrs));
            if (more == NULL) {
                ber_memfree(values);
                rc = LDAP_NO_MEMORY;
                break;
            }
            attrs = more;
        }
        while (values != NULL && values[n].bv_val != NULL)
            n++;
        mine = calloc(n == 0 ? 1 : n, sizeof(*mine));
        attrs[count] = (struct ad_attr){.name = name.bv_val, .values = mine, .count = n};
        if (mine == NULL) {
            ber_memfree(values);
            rc = LDAP_NO_MEMORY;
            break;
        }
        count++;
        for (size_t i = 0; i < n; i++) {
            mine[i] = (struct ad_value){.s = values[i].bv_val, .n = values[i].bv_len};
            if (values[i].bv_len > MAX_VALUE)
                rc = LDAP_DECODING_ERROR;
        }
        ber_memfree(values);
        values = NULL;
        if (rc != LDAP_SUCCESS)
            break;
    }
    if (rc != LDAP_SUCCESS)
        goto bad;
    ber_free(ber, 0);
    *en = (struct ad_entry){.dn = dn.bv_val, .attrs = attrs, .count = count};
    *ret_attrs = attrs;
    return 0;
bad:
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)attrs[i].values);
    free(attrs);
    if (ber != NULL)
        ber_free(ber, 0);
    return err_set(e, ERR_INVALID, rc,
                   "the DC's answer cannot be read (a value over %d bytes, or broken)", MAX_VALUE);
}

const struct ad_attr *ad_entry_attr(const struct ad_entry *en, const char *name)
{
    for (size_t i = 0; i < en->count; i++) {
        if (text_eq_nocase(en->attrs[i].name, name))
            return &en->attrs[i];
    }
    return NULL;
}
