/* tests/bench/floor.c -- the least that disables accounts over LDAP: what cordon is measured by.
 *
 *   floor [-e] [-4] [-w WINDOW] [-f FILE] HOST BASE [NAME...]
 *
 *   -e          enable: take the flag away again
 *   -4          ask what cordon asks: by name, then by GUID all that its guard judges
 *   -w WINDOW   so many accounts in flight on the one connection (32)
 *   -f FILE     names, one a line
 *
 * Binds as the caller's ticket says (GSSAPI, sealed), then for each account: search by name, swap
 * userAccountControl (delete the old value, add the new one), read it back. No guard, no ledger, no
 * event log, no failover. Prints "COUNT MILLISECONDS", from the answer to the bind to the last
 * account.
 */
#include <ldap.h>
#include <sasl/sasl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DISABLED 2
#define WINDOW_MAX 512

enum stage { FREE, FIND, JUDGE, SWAP, PROVE };

struct flight {
    enum stage stage;
    int msgid;
    char dn[600];
    unsigned uac;
    bool seen; /* the entry of the search under way */
};

static char *least[] = {"userAccountControl", NULL};
static char *find_attrs[] = {"objectGUID",
                             "objectSid",
                             "sAMAccountName",
                             "userPrincipalName",
                             "mS-DS-ConsistencyGuid",
                             "userAccountControl",
                             NULL};
static char *judge_attrs[] = {"objectGUID",
                              "objectSid",
                              "objectClass",
                              "sAMAccountName",
                              "sAMAccountType",
                              "name",
                              "userPrincipalName",
                              "userAccountControl",
                              "pwdLastSet",
                              "lockoutTime",
                              "primaryGroupID",
                              "adminCount",
                              "isCriticalSystemObject",
                              "msDS-SecondaryKrbTgtNumber",
                              "tokenGroups",
                              "sIDHistory",
                              "servicePrincipalName",
                              "memberOf",
                              "replPropertyMetaData",
                              "msDS-UserPasswordExpiryTimeComputed",
                              NULL};
static char *prove_attrs[] = {"objectGUID",  "userAccountControl",   "pwdLastSet",
                              "lockoutTime", "replPropertyMetaData", NULL};

static LDAP *ld;
static const char *base;
static bool enable, like_cordon;
static char **names;
static size_t name_count, next_name, done;
static struct flight flights[WINDOW_MAX];

static void die(const char *what, int rc)
{
    fprintf(stderr, "floor: %s: %s\n", what, ldap_err2string(rc));
    exit(1);
}

static int interact(LDAP *h, unsigned flags, void *defaults, void *in)
{
    (void)h;
    (void)flags;
    (void)defaults;
    for (sasl_interact_t *i = in; i->id != SASL_CB_LIST_END; i++) {
        i->result = i->defresult != NULL ? i->defresult : "";
        i->len = (unsigned)strlen(i->result);
    }
    return LDAP_SUCCESS;
}

static void bind_to(const char *host)
{
    int version = LDAP_VERSION3, rc;
    char url[300];

    snprintf(url, sizeof(url), "ldap://%s", host);
    rc = ldap_initialize(&ld, url);
    if (rc != LDAP_SUCCESS)
        die(url, rc);
    ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version);
    ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
    ldap_set_option(ld, LDAP_OPT_X_SASL_NOCANON, LDAP_OPT_ON);
    ldap_set_option(ld, LDAP_OPT_X_SASL_SECPROPS, "noanonymous,noplain,minssf=128");
    rc = ldap_sasl_interactive_bind_s(ld, NULL, "GSSAPI", NULL, NULL, LDAP_SASL_QUIET, interact,
                                      NULL);
    if (rc != LDAP_SUCCESS)
        die("bind", rc);
}

static void ask(struct flight *f, const char *at, int scope, const char *filter, char **attrs)
{
    int rc = ldap_search_ext(ld, at, scope, filter, attrs, 0, NULL, NULL, NULL, 2, &f->msgid);

    if (rc != LDAP_SUCCESS)
        die("search", rc);
    f->seen = false;
}

static void swap(struct flight *f)
{
    char old[16], new[16];
    char *olds[] = {old, NULL}, *news[] = {new, NULL};
    LDAPMod del = {.mod_op = LDAP_MOD_DELETE, .mod_type = least[0], .mod_values = olds};
    LDAPMod add = {.mod_op = LDAP_MOD_ADD, .mod_type = least[0], .mod_values = news};
    LDAPMod *mods[] = {&del, &add, NULL};
    int rc;

    snprintf(old, sizeof(old), "%d", (int)f->uac);
    f->uac = enable ? f->uac & ~(unsigned)DISABLED : f->uac | DISABLED;
    snprintf(new, sizeof(new), "%d", (int)f->uac);
    if (strcmp(old, new) == 0) {
        fprintf(stderr, "floor: %s is so already\n", f->dn);
        exit(1);
    }
    rc = ldap_modify_ext(ld, f->dn, mods, NULL, NULL, &f->msgid);
    if (rc != LDAP_SUCCESS)
        die("modify", rc);
    f->stage = SWAP;
}

/* The next account, in this place of the window. */
static void take_off(struct flight *f)
{
    char filter[400];

    f->stage = FREE;
    if (next_name == name_count)
        return;
    snprintf(filter, sizeof(filter),
             like_cordon ? "(&(|(sAMAccountName=%s))(|(sAMAccountType=805306368)"
                           "(sAMAccountType=805306369)(sAMAccountType=805306370)))"
                         : "(sAMAccountName=%s)",
             names[next_name++]);
    f->stage = FIND;
    ask(f, base, LDAP_SCOPE_SUBTREE, filter, like_cordon ? find_attrs : least);
}

static void on_entry(struct flight *f, LDAPMessage *m)
{
    struct berval **v = ldap_get_values_len(ld, m, least[0]), **guid;
    char *dn = ldap_get_dn(ld, m);
    unsigned uac;

    if (v == NULL || v[0] == NULL || dn == NULL || f->seen) {
        fprintf(stderr, "floor: no such account, more than one, or not readable\n");
        exit(1);
    }
    uac = (unsigned)atoi(v[0]->bv_val);
    f->seen = true;
    if (f->stage == PROVE && uac != f->uac) {
        fprintf(stderr, "floor: %s shows %u, not %u\n", dn, uac, f->uac);
        exit(1);
    }
    f->uac = uac;
    if (f->stage == FIND && like_cordon) {
        guid = ldap_get_values_len(ld, m, "objectGUID");
        const unsigned char *g = (const unsigned char *)guid[0]->bv_val;

        snprintf(f->dn, sizeof(f->dn),
                 "<GUID=%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x>",
                 g[3], g[2], g[1], g[0], g[5], g[4], g[7], g[6], g[8], g[9], g[10], g[11], g[12],
                 g[13], g[14], g[15]);
        ldap_value_free_len(guid);
    } else if (f->stage == FIND) {
        snprintf(f->dn, sizeof(f->dn), "%s", dn);
    }
    ldap_memfree(dn);
    ldap_value_free_len(v);
}

static void on_end(struct flight *f, LDAPMessage *m)
{
    int code = 0, rc = ldap_parse_result(ld, m, &code, NULL, NULL, NULL, NULL, 0);

    if (rc != LDAP_SUCCESS || code != LDAP_SUCCESS)
        die(f->dn, rc != LDAP_SUCCESS ? rc : code);
    if (f->stage != SWAP && !f->seen) {
        fprintf(stderr, "floor: no such account\n");
        exit(1);
    }
    if (f->stage == FIND && like_cordon) {
        f->stage = JUDGE;
        ask(f, f->dn, LDAP_SCOPE_BASE, "(objectClass=*)", judge_attrs);
    } else if (f->stage == FIND || f->stage == JUDGE) {
        swap(f);
    } else if (f->stage == SWAP) {
        f->stage = PROVE;
        ask(f, f->dn, LDAP_SCOPE_BASE, "(objectClass=*)", like_cordon ? prove_attrs : least);
    } else {
        done++;
        take_off(f);
    }
}

static void read_names(const char *path)
{
    FILE *in = fopen(path, "re");
    char line[300];

    if (in == NULL) {
        perror(path);
        exit(1);
    }
    while (fgets(line, sizeof(line), in) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        names = reallocarray(names, name_count + 1, sizeof(*names));
        if (names == NULL || (names[name_count++] = strdup(line)) == NULL)
            exit(1);
    }
    fclose(in);
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
    size_t window = 32;
    double start;
    int c;

    while ((c = getopt(argc, argv, "e4w:f:")) != -1) {
        if (c == 'e')
            enable = true;
        else if (c == '4')
            like_cordon = true;
        else if (c == 'w')
            window = strtoul(optarg, NULL, 10);
        else if (c == 'f')
            read_names(optarg);
        else
            return 2;
    }
    if (argc - optind < 2 || window == 0 || window > WINDOW_MAX) {
        fprintf(stderr, "usage: floor [-e] [-4] [-w WINDOW] [-f FILE] HOST BASE [NAME...]\n");
        return 2;
    }
    base = argv[optind + 1];
    if (name_count == 0) {
        names = argv + optind + 2;
        name_count = (size_t)(argc - optind - 2);
    }
    bind_to(argv[optind]);
    start = now_ms();
    for (size_t i = 0; i < window; i++)
        take_off(&flights[i]);
    while (done < name_count) {
        LDAPMessage *m = NULL;
        int rc = ldap_result(ld, LDAP_RES_ANY, LDAP_MSG_ONE, NULL, &m);

        if (rc <= 0)
            die("result", LDAP_SERVER_DOWN);
        for (size_t i = 0; i < window; i++) {
            struct flight *f = &flights[i];

            if (f->stage == FREE || f->msgid != ldap_msgid(m))
                continue;
            if (rc == LDAP_RES_SEARCH_ENTRY)
                on_entry(f, m);
            else if (rc != LDAP_RES_SEARCH_REFERENCE)
                on_end(f, m);
            break;
        }
        ldap_msgfree(m);
    }
    printf("%zu %.1f\n", done, now_ms() - start);
    ldap_unbind_ext(ld, NULL, NULL);
    return 0;
}
