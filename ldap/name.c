/* ldap/name.c -- see name.h.
 *
 *   ad_name_parse    characters first, then the forms from the strictest to the loosest:
 *                    <SID=> <GUID=>, S-1-..., GUID, immutableId, DN, DOMAIN\name, x@y, name.
 *                    What sets out to be one of the strict forms and is none is an error, not a
 * name ad_name_filter   one filter for all that a name may mean ad_name_batch_*  the same for many,
 * and who answers whom
 */
#include "ldap/name.h"

#include <assert.h>
#include <ldap.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/id.h"

/* Indexed, but with nearly every account behind it: it goes after the names, so that a server that
 * takes its conditions in order stops before it. People, computers with managed service accounts,
 * trusts; inetOrgPerson is 805306368 as well; groups and contacts have other values or none. */
static const char account_types[] =
    "(|(sAMAccountType=805306368)(sAMAccountType=805306369)(sAMAccountType=805306370))";

const char *const ad_name_attrs[] = {"sAMAccountName", "userPrincipalName", "mail",
                                     "proxyAddresses", NULL};

/* --- characters --------------------------------------------------------------- */

/* A name for those that are met in practice; the number says the rest. */
static const char *char_name(uint32_t c)
{
    static const struct {
        uint32_t first, last;
        const char *name;
    } names[] = {
        {0x00, 0x00, "NUL"},
        {0x09, 0x09, "a tab"},
        {0x0a, 0x0a, "a line feed"},
        {0x0d, 0x0d, "a carriage return"},
        {0x1b, 0x1b, "escape"},
        {0x00, 0x1f, "a control character"},
        {0x7f, 0x9f, "a control character"},
        {0xad, 0xad, "a soft hyphen"},
        {0x200b, 0x200b, "a zero-width space"},
        {0x200c, 0x200c, "a zero-width non-joiner"},
        {0x200d, 0x200d, "a zero-width joiner"},
        {0x61c, 0x61c, "a direction mark"},
        {0x200e, 0x200f, "a direction mark"},
        {0x2028, 0x2029, "a line separator"},
        {0x202a, 0x202e, "a direction control"},
        {0x2066, 0x2069, "a direction control"},
        {0xfe00, 0xfe0f, "a variation selector"},
        {0xfeff, 0xfeff, "a byte order mark"},
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (c >= names[i].first && c <= names[i].last)
            return names[i].name;
    }
    return "a character that cannot be seen";
}

static bool is_space(uint32_t c)
{
    return c == ' ' || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

static int check_chars(const char *s, size_t n, struct err *e)
{
    char shown[TEXT_SHOWN];
    size_t at = 0, place = 0;
    uint32_t c;

    while (at < n) {
        size_t len = text_utf8_next(s + at, n - at, &c);

        place++;
        if (len == 0)
            return err_set(e, ERR_USAGE, 0, "'%s': character %zu is not UTF-8",
                           text_shownn(shown, s, n), place);
        if (text_is_hidden(c))
            return err_set(e, ERR_USAGE, 0, "'%s': character %zu is U+%04X, %s",
                           text_shownn(shown, s, n), place, c, char_name(c));
        at += len;
    }
    return 0;
}

/* A space at an end is not trimmed, since it may be meant; nor sent, since the directory may
 * ignore it and answer with another account. */
static int check_ends(const char *s, size_t n, const struct ad_name *name, struct err *e)
{
    char shown[TEXT_SHOWN];
    uint32_t c, first = 0, last = 0;

    for (size_t at = 0; at < n;) {
        size_t len = text_utf8_next(s + at, n - at, &c);

        if (len == 0)
            break; /* never: check_chars was here */
        first = at == 0 ? c : first;
        last = c;
        at += len;
    }
    if (is_space(first) || is_space(last))
        return err_set(e, ERR_USAGE, 0, "'%s': a name cannot %s with a space",
                       text_shown(shown, name->text), is_space(first) ? "begin" : "end");
    return 0;
}

/* ASCII case folded, whatever the locale. */
static bool begins(const char *s, const char *prefix)
{
    for (; *prefix != '\0'; s++, prefix++) {
        char c = *s >= 'a' && *s <= 'z' ? (char)(*s - 'a' + 'A') : *s;

        if (c != *prefix)
            return false;
    }
    return true;
}

/* --- the forms ------------------------------------------------------------------ */

/* Copy one part of the name, which must be there and have no space at its ends. */
static int take_part(char out[AD_NAME_MAX + 1], const char *s, size_t n, const char *what,
                     const struct ad_name *name, struct err *e)
{
    char shown[TEXT_SHOWN];

    if (n == 0)
        return err_set(e, ERR_USAGE, 0, "'%s': %s is missing", text_shown(shown, name->text), what);
    assert(n <= AD_NAME_MAX);
    if (check_ends(s, n, name, e) < 0)
        return -1;
    memcpy(out, s, n);
    out[n] = '\0';
    return 0;
}

/* "<SID=...>" or "<GUID=...>", text or hex inside. */
static int parse_angle(struct ad_name *name, struct err *e)
{
    const char *s = name->text;
    size_t n = strlen(s);
    char shown[TEXT_SHOWN], inner[AD_NAME_MAX + 1];
    uint8_t bytes[AD_SID_BYTES];
    size_t len;

    if (n > 6 && n <= AD_NAME_MAX && s[n - 1] == '>' && begins(s, "<SID=")) {
        len = n - 6;
        memcpy(inner, s + 5, len);
        inner[len] = '\0';
        name->kind = AD_NAME_SID;
        if (ad_sid_from_text(inner, len, &name->sid) == 0 ||
            (len % 2 == 0 && len / 2 <= sizeof(bytes) && id_unhex(bytes, len / 2, inner) &&
             ad_sid_from_bytes(bytes, len / 2, &name->sid) == 0))
            return 0;
    } else if (n > 7 && n <= AD_NAME_MAX && s[n - 1] == '>' && begins(s, "<GUID=")) {
        len = n - 7;
        memcpy(inner, s + 6, len);
        inner[len] = '\0';
        name->kind = AD_NAME_GUID;
        if (ad_guid_from_text(inner, len, &name->guid) == 0 ||
            (len == 32 && id_unhex(name->guid.b, sizeof(name->guid.b), inner)))
            return 0;
    }
    return err_set(e, ERR_USAGE, 0, "'%s': neither <SID=S-1-...> nor <GUID=...>",
                   text_shown(shown, name->text));
}

/* Does it set out as "attribute="? An attribute is a word or a dotted number (RFC 4512 1.4). */
static bool begins_as_dn(const char *s)
{
    size_t n;

    s += strspn(s, " ");
    n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.");
    return n > 0 && s[n + strspn(s + n, " ")] == '=';
}

static bool is_dc(const struct berval *attr)
{
    assert(attr != NULL);
    return (attr->bv_len == 2 && begins(attr->bv_val, "DC")) ||
           (attr->bv_len == 26 && memcmp(attr->bv_val, "0.9.2342.19200300.100.1.25", 26) == 0);
}

static void dn_freep(LDAPDN *dn)
{
    if (*dn != NULL)
        ldap_dnfree(*dn);
}

/* 1: a DN; 0: none, perhaps something else; -1: an error. What the DC gets is the text as given:
 * here it is only checked that it can be read, and of which domain it is. */
static int parse_dn(const struct ad_name *name, const char *domain_dns, struct err *e)
{
    CLEANUP(dn_freep) LDAPDN dn = NULL;
    char shown[TEXT_SHOWN];
    struct text domain = TEXT_INIT(AD_NAME_DN_MAX);
    size_t count = 0, first_dc;
    bool ours;

    if (ldap_str2dn(name->text, &dn, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS || dn == NULL)
        return 0;
    for (; dn[count] != NULL; count++) {
        for (size_t i = 0; dn[count][i] != NULL; i++) {
            const LDAPAVA *ava = dn[count][i];

            /* A value is text: no #hex form, no NUL that was hidden behind an escape. */
            if ((ava->la_flags & LDAP_AVA_BINARY) != 0 || ava->la_value.bv_len == 0 ||
                memchr(ava->la_value.bv_val, '\0', ava->la_value.bv_len) != NULL)
                return err_set(e, ERR_USAGE, 0, "'%s': a DN with a value that is no text",
                               text_shown(shown, name->text));
        }
    }
    for (first_dc = count; first_dc > 0; first_dc--) {
        if (dn[first_dc - 1][1] != NULL || !is_dc(&dn[first_dc - 1][0]->la_attr))
            break;
    }
    if (first_dc == count)
        return count > 1 ? err_set(e, ERR_USAGE, 0, "'%s': a DN without its DC= parts",
                                   text_shown(shown, name->text))
                         : 0;
    if (first_dc == 0)
        return err_set(e, ERR_USAGE, 0, "'%s': a domain, not an account",
                       text_shown(shown, name->text));
    if (domain_dns == NULL)
        return 1;

    for (size_t i = first_dc; i < count; i++)
        text_addf(&domain, "%s%.*s", i > first_dc ? "." : "", (int)dn[i][0]->la_value.bv_len,
                  dn[i][0]->la_value.bv_val);
    ours = !domain.failed && text_eq_nocase(domain.s, domain_dns);
    text_done(&domain);
    if (!ours)
        return err_set(e, ERR_NOTFOUND, 0, "'%s': not in the domain %s",
                       text_shown(shown, name->text), domain_dns);
    return 1;
}

int ad_name_parse(const char *s, size_t n, const char *domain_dns, struct ad_name *ret_name,
                  struct err *e)
{
    struct ad_name name = {.kind = AD_NAME_SAM};
    char shown[TEXT_SHOWN];
    const char *cut;
    int dn;

    if (n == 0)
        return err_set(e, ERR_USAGE, 0, "an empty name");
    if (n > AD_NAME_DN_MAX)
        return err_set(e, ERR_TOOBIG, 0, "a name of %zu bytes", n);
    if (check_chars(s, n, e) < 0)
        return -1;
    memcpy(name.text, s, n);
    name.text[n] = '\0';

    /* The forms that stand for one object and nothing else. */
    if (s[0] == '<') {
        if (parse_angle(&name, e) < 0)
            return -1;
        *ret_name = name;
        return 0;
    }
    if (begins(name.text, "S-1-")) {
        name.kind = AD_NAME_SID;
        if (ad_sid_from_text(s, n, &name.sid) == 0) {
            *ret_name = name;
            return 0;
        }
        if (strspn(name.text + 4, "0123456789-") == n - 4)
            return err_set(e, ERR_USAGE, 0, "'%s': not a whole SID", text_shown(shown, name.text));
    }
    if (ad_guid_from_text(s, n, &name.guid) == 0) {
        name.kind = AD_NAME_GUID;
        *ret_name = name;
        return 0;
    }
    if (ad_guid_from_base64(s, n, &name.guid) == 0) {
        name.kind = AD_NAME_IMMUTABLE;
        *ret_name = name;
        return 0;
    }
    if (begins_as_dn(name.text)) {
        dn = parse_dn(&name, domain_dns, e);
        if (dn < 0)
            return -1;
        if (dn > 0) {
            name.kind = AD_NAME_DN;
            *ret_name = name;
            return 0;
        }
        /* "a=b@corp.example.com" is a mail address, too. */
        if (strchr(name.text, '@') == NULL)
            return err_set(e, ERR_USAGE, 0, "'%s': begins as a DN and is none",
                           text_shown(shown, name.text));
    }

    /* The forms that are looked for. */
    if (n > AD_NAME_MAX)
        return err_set(e, ERR_TOOBIG, 0, "'%s': a name of %zu bytes, more than %d",
                       text_shown(shown, name.text), n, AD_NAME_MAX);
    if ((cut = strchr(name.text, '\\')) != NULL) {
        name.kind = AD_NAME_DOWNLEVEL;
        if (take_part(name.domain, name.text, (size_t)(cut - name.text), "the domain", &name, e) <
                0 ||
            take_part(name.local, cut + 1, strlen(cut + 1), "the account", &name, e) < 0)
            return -1;
    } else if ((cut = strrchr(name.text, '@')) != NULL) {
        name.kind = AD_NAME_UPN;
        if (take_part(name.local, name.text, (size_t)(cut - name.text), "what stands before the @",
                      &name, e) < 0 ||
            take_part(name.domain, cut + 1, strlen(cut + 1), "what stands after the @", &name, e) <
                0)
            return -1;
    } else {
        name.kind = AD_NAME_SAM;
        if (take_part(name.local, name.text, n, "the account", &name, e) < 0)
            return -1;
    }
    *ret_name = name;
    return 0;
}

const char *ad_name_kind_word(enum ad_name_kind kind)
{
    static const char *const words[] = {
        [AD_NAME_SAM] = "account name",
        [AD_NAME_DOWNLEVEL] = "domain and account name",
        [AD_NAME_UPN] = "user principal name or mail address",
        [AD_NAME_DN] = "DN",
        [AD_NAME_SID] = "SID",
        [AD_NAME_GUID] = "GUID",
        [AD_NAME_IMMUTABLE] = "immutable id",
    };

    return words[kind];
}

/* --- base search ---------------------------------------------------------------- */

const char *ad_name_base(const struct ad_name *name, char buf[AD_NAME_BASE])
{
    char dn[AD_SID_DN];

    switch (name->kind) {
    case AD_NAME_DN:
        (void)snprintf(buf, AD_NAME_BASE, "%s", name->text);
        return buf;
    case AD_NAME_SID:
        (void)snprintf(buf, AD_NAME_BASE, "%s", ad_sid_to_dn(&name->sid, dn));
        return buf;
    case AD_NAME_GUID:
    case AD_NAME_IMMUTABLE:
        return ad_guid_to_dn(&name->guid, buf);
    case AD_NAME_SAM:
    case AD_NAME_DOWNLEVEL:
    case AD_NAME_UPN:
        break;
    }
    return NULL;
}

bool ad_name_is_search(const struct ad_name *name)
{
    return name->kind == AD_NAME_SAM || name->kind == AD_NAME_DOWNLEVEL ||
           name->kind == AD_NAME_UPN || name->kind == AD_NAME_IMMUTABLE;
}

bool ad_name_immutable_ok(const struct ad_name *name, const void *consistency, size_t n)
{
    /* An object whose ConsistencyGuid is another one is known in Entra by that, not by this. */
    return n == 0 || (n == sizeof(name->guid.b) &&
                      memcmp(consistency, name->guid.b, sizeof(name->guid.b)) == 0);
}

/* --- filters -------------------------------------------------------------------- */

void ad_name_escape(struct text *filter, const void *value, size_t n)
{
    /* libldap does not write to what it reads. */
    struct berval in = {.bv_len = n, .bv_val = (char *)(uintptr_t)value}, out = {0};

    if (n == 0)
        return;
    if (ldap_bv2escaped_filter_value(&in, &out) != 0) {
        filter->failed = true;
        return;
    }
    text_addn(filter, out.bv_val, out.bv_len);
    ber_memfree(out.bv_val);
}

static void add_equal(struct text *filter, const char *attr, const char *prefix, const char *value)
{
    text_addf(filter, "(%s=%s", attr, prefix);
    ad_name_escape(filter, value, strlen(value));
    text_addc(filter, ')');
}

static bool is_ours(const char *suffix, const struct ad_name_domain *domain)
{
    return text_eq_nocase(suffix, domain->dns) ||
           (domain->netbios != NULL && text_eq_nocase(suffix, domain->netbios));
}

/* Every form one name may have, side by side: to be put inside an "or". */
static int add_forms(const struct ad_name *name, const struct ad_name_domain *domain,
                     struct text *filter, struct err *e)
{
    char shown[TEXT_SHOWN];

    switch (name->kind) {
    case AD_NAME_DOWNLEVEL:
        if (!is_ours(name->domain, domain))
            return err_set(e, ERR_NOTFOUND, 0, "'%s': not in the domain %s",
                           text_shown(shown, name->text), domain->dns);
        add_equal(filter, "sAMAccountName", "", name->local);
        return 0;
    case AD_NAME_SAM:
        add_equal(filter, "sAMAccountName", "", name->local);
        return 0;
    case AD_NAME_UPN:
        add_equal(filter, "userPrincipalName", "", name->text);
        /* The implicit UPN: it is valid whether or not another one is stored (MS-ADTS 5.1.1.1.1).
         */
        if (is_ours(name->domain, domain))
            add_equal(filter, "sAMAccountName", "", name->local);
        add_equal(filter, "mail", "", name->text);
        add_equal(filter, "proxyAddresses", "smtp:", name->text);
        return 0;
    case AD_NAME_IMMUTABLE:
        text_add(filter, "(mS-DS-ConsistencyGuid=");
        for (size_t i = 0; i < sizeof(name->guid.b); i++)
            text_addf(filter, "\\%02X", name->guid.b[i]);
        text_addc(filter, ')');
        return 0;
    case AD_NAME_DN:
    case AD_NAME_SID:
    case AD_NAME_GUID:
        break;
    }
    return err_set(e, ERR_INTERNAL, 0, "'%s': not a name to look for",
                   text_shown(shown, name->text));
}

int ad_name_filter(const struct ad_name *name, const struct ad_name_domain *domain,
                   struct text *filter, struct err *e)
{
    if (!ad_name_is_search(name)) {
        text_add(filter, "(objectClass=*)");
        return text_check(filter, "filter", e);
    }
    text_add(filter, "(&(|");
    if (add_forms(name, domain, filter, e) < 0)
        return -1;
    text_addf(filter, ")%s)", account_types);
    return text_check(filter, "filter", e);
}

/* --- many at once --------------------------------------------------------------- */

static bool is_ascii(const char *s)
{
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s >= 0x80)
            return false;
    }
    return true;
}

bool ad_name_batchable(const struct ad_name *name)
{
    return (name->kind == AD_NAME_SAM || name->kind == AD_NAME_DOWNLEVEL ||
            name->kind == AD_NAME_UPN) &&
           is_ascii(name->text);
}

int ad_name_batch_filter(const struct ad_name *const *names, size_t count,
                         const struct ad_name_domain *domain, struct text *filter, struct err *e)
{
    if (count == 0 || count > AD_NAME_BATCH)
        return err_set(e, ERR_INTERNAL, 0, "%zu names in one filter", count);
    text_add(filter, "(&(|");
    for (size_t i = 0; i < count; i++) {
        if (!ad_name_batchable(names[i]))
            return err_set(e, ERR_INTERNAL, 0, "a name that must be asked for alone");
        if (add_forms(names[i], domain, filter, e) < 0)
            return -1;
    }
    text_addf(filter, ")%s)", account_types);
    return text_check(filter, "filter", e);
}

static bool is_value(const char *value, const char *wanted)
{
    return value != NULL && text_eq_nocase(value, wanted);
}

/* The filter of add_forms, evaluated here. */
static bool answers(const struct ad_name_entry *en, const struct ad_name *name,
                    const struct ad_name_domain *domain)
{
    if (name->kind != AD_NAME_UPN)
        return is_value(en->sam, name->local);
    if (is_value(en->upn, name->text) || is_value(en->mail, name->text) ||
        (is_ours(name->domain, domain) && is_value(en->sam, name->local)))
        return true;
    for (size_t i = 0; i < en->proxy_count; i++) {
        if (begins(en->proxies[i], "SMTP:") && text_eq_nocase(en->proxies[i] + 5, name->text))
            return true;
    }
    return false;
}

static bool entry_is_ascii(const struct ad_name_entry *en)
{
    for (size_t i = 0; i < en->proxy_count; i++) {
        if (!is_ascii(en->proxies[i]))
            return false;
    }
    return (en->sam == NULL || is_ascii(en->sam)) && (en->upn == NULL || is_ascii(en->upn)) &&
           (en->mail == NULL || is_ascii(en->mail));
}

void ad_name_batch_assign(const struct ad_name *const *names, size_t count,
                          const struct ad_name_domain *domain, const struct ad_name_entry *entries,
                          size_t entry_count, size_t *ret_which)
{
    bool clear = true;

    for (size_t i = 0; i < count; i++)
        ret_which[i] = AD_NAME_NONE;
    for (size_t k = 0; k < entry_count; k++) {
        bool asked_for = false;

        for (size_t i = 0; i < count; i++) {
            if (!answers(&entries[k], names[i], domain))
                continue;
            asked_for = true;
            ret_which[i] = ret_which[i] == AD_NAME_NONE ? k : AD_NAME_UNCLEAR;
        }
        /* The DC found it by a comparison that is not ours: then we cannot say for any name that
         * nothing, or nothing else, answers it. */
        if (!asked_for || !entry_is_ascii(&entries[k]))
            clear = false;
    }
    for (size_t i = 0; i < count && !clear; i++)
        ret_which[i] = AD_NAME_UNCLEAR;
}
