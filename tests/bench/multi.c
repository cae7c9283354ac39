/* tests/bench/multi.c -- the least that disables users over Graph: what cordon is measured by.
 *
 *   multi ROOT CA_FILE TOKEN_FILE < IDS-AND-SIDS      ("id sid" a line)
 *
 * Bare curl-multi with the calls that cordon makes, 20 in a $batch and four requests in flight: who
 * is it, the guard's five questions, disable, revoke, look. Each phase waits for the one before.
 * Answers are received and thrown away: no guard, no proof, no ledger, no AD. Prints milliseconds.
 */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define USERS 5000
#define PARTS 20
#define FLIGHTS 4

static char ids[USERS][40], sids[USERS][80];
static size_t users, requests;
static struct curl_slist *headers;
static const char *root, *ca;
static CURLM *multi;
static int running;

/* What cordon wants to know of a user (cloud/entra_user.c). */
#define SELECT                                                                        \
    "id,userPrincipalName,displayName,accountEnabled,userType,onPremisesSyncEnabled," \
    "onPremisesImmutableId,onPremisesSecurityIdentifier,onPremisesDistinguishedName," \
    "onPremisesSamAccountName,onPremisesDomainName,onPremisesLastSyncDateTime,"       \
    "signInSessionsValidFromDateTime,lastPasswordChangeDateTime,isManagementRestricted"

static const char *const asks[] = {
    "/users?$filter=onPremisesSecurityIdentifier%20eq%20%27S%27&$select=" SELECT,
    "/users/I/transitiveMemberOf?$select=id,displayName&$top=999",
    "/users/I/transitiveMemberOf/microsoft.graph.group?$count=true&$select=id,displayName,"
    "isAssignableToRole&$top=999",
    "/roleManagement/directory/roleAssignments?$filter=principalId%20eq%20%27I%27&$expand="
    "roleDefinition",
    "/roleManagement/directory/roleEligibilityScheduleInstances?$filter=principalId%20eq%20%27I%27&"
    "$expand=roleDefinition",
    "/users/I/memberOf/microsoft.graph.administrativeUnit?$count=true&$select=id,displayName,"
    "isMemberManagementRestricted",
    "/users/I",
    "/users/I/revokeSignInSessions",
    "/users/I?$select=" SELECT,
};

static size_t swallow(char *p, size_t s, size_t n, void *arg)
{
    (void)p;
    (void)arg;
    return s * n;
}

static size_t url_of(char *out, const char *ask, size_t user)
{
    size_t n = 0;

    for (const char *p = ask; *p != '\0'; p++) {
        bool name = (*p == 'I' && (p[-1] == '/' || p[-1] == '7')) || (*p == 'S' && p[-1] == '7');

        if (name)
            n += (size_t)sprintf(out + n, "%s", *p == 'I' ? ids[user] : sids[user]);
        else
            out[n++] = *p;
    }
    out[n] = '\0';
    return n;
}

static void wait_below(int limit)
{
    CURLMsg *m;
    int left;

    do {
        curl_multi_perform(multi, &running);
        while ((m = curl_multi_info_read(multi, &left)) != NULL) {
            long status = 0;
            void *body;

            curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &status);
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &body);
            if (m->data.result != CURLE_OK || status != 200) {
                fprintf(stderr, "multi: %s, %ld\n", curl_easy_strerror(m->data.result), status);
                exit(1);
            }
            curl_multi_remove_handle(multi, m->easy_handle);
            curl_easy_cleanup(m->easy_handle);
            free(body);
        }
        if (running >= limit)
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
    } while (running >= limit);
}

static void send_batch(char *body, size_t n)
{
    CURL *c = curl_easy_init();
    char url[300];

    snprintf(url, sizeof(url), "%s/v1.0/$batch", root);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_CAINFO, ca);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)n);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(c, CURLOPT_PRIVATE, body);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, swallow);
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(c, CURLOPT_PIPEWAIT, 1L);
    curl_multi_add_handle(multi, c);
    requests++;
    wait_below(FLIGHTS);
}

/* Calls first..last of all users, each `PARTS` of them in one request. */
static void phase(size_t first, size_t last)
{
    char *body = NULL, url[600];
    size_t n = 0, parts = 0, total = users * (last - first + 1);

    for (size_t i = 0; i < total; i++) {
        size_t ask = first + i % (last - first + 1), user = i / (last - first + 1);

        if (body == NULL) {
            body = malloc(64 * 1024);
            n = (size_t)sprintf(body, "{\"requests\":[");
        }
        url_of(url, asks[ask], user);
        n += (size_t)sprintf(body + n, "%s{\"id\":\"%zu\",\"method\":\"%s\",\"url\":\"%s\"%s}",
                             parts > 0 ? "," : "", parts + 1,
                             ask == 6   ? "PATCH"
                             : ask == 7 ? "POST"
                                        : "GET",
                             url,
                             ask == 6   ? ",\"headers\":{\"Content-Type\":\"application/json\"},"
                                          "\"body\":{\"accountEnabled\":false}"
                             : ask == 7 ? ",\"headers\":{\"Content-Type\":\"application/json\"},"
                                          "\"body\":{}"
                             : ask == 2 || ask == 5
                                 ? ",\"headers\":{\"ConsistencyLevel\":\"eventual\"}"
                                 : "");
        if (++parts == PARTS || i + 1 == total) {
            n += (size_t)sprintf(body + n, "]}");
            send_batch(body, n);
            body = NULL;
            parts = 0;
        }
    }
    wait_below(1);
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
    char token[16384], line[16500];
    FILE *f = argc == 4 ? fopen(argv[3], "r") : NULL;
    double began;

    if (f == NULL || fgets(token, sizeof(token), f) == NULL)
        return 2;
    token[strcspn(token, "\r\n")] = '\0';
    fclose(f);
    root = argv[1];
    ca = argv[2];
    while (users < USERS && scanf("%39s %79s", ids[users], sids[users]) == 2)
        users++;
    curl_global_init(CURL_GLOBAL_ALL);
    multi = curl_multi_init();
    snprintf(line, sizeof(line), "Authorization: Bearer %s", token);
    headers = curl_slist_append(headers, line);
    headers = curl_slist_append(headers, "Content-Type: application/json");
    began = now_ms();
    phase(0, 0);
    phase(1, 5);
    phase(6, 6);
    phase(7, 7);
    phase(8, 8);
    printf("%zu %.0f %zu\n", users, now_ms() - began, requests);
    return 0;
}
