/* tests/unit/cloud/defender.h -- Defender's answers, and a client to whom a script gives them.
 *
 * Included by one source of a test that is linked with cordon_sim_wire.
 */
#ifndef CORDON_TESTS_CLOUD_DEFENDER_H
#define CORDON_TESTS_CLOUD_DEFENDER_H

#include "base/id.h"
#include "cloud/defender.h"
#include "cloud/defender_inside.h"
#include "tests/unit/cloud/sim.h"

/* The script of a case: members says and n. */
#define SAYS(...) \
    .says = {__VA_ARGS__}, .n = sizeof((struct sim_says[]){__VA_ARGS__}) / sizeof(struct sim_says)

#define ROOT "https://api.securitycenter.microsoft.com"
#define M1 "1e5bc9d7e413ddd7902c2932e418702b84d0cc07"
#define M2 "7b1f4967d9728e5aa3c06a9e617a22a4a5a17378"
#define DC "dc01.corp.example.com"
#define ACTION "988cc94e-7a8f-4b28-ab65-54970c5d5018"
#define NONCE "0123456789abcdef"
#define ALL_ROLES " Machine.LiveResponse Machine.Read.All Library.Manage "

#define ERROR(code) \
    "{\"error\":{\"code\":\"" code "\",\"message\":\"a\\u001b[0m\",\"target\":\"43f4cb08\"}}"

#define MACHINE_WITH(id, name, onboarding, health, os, seen, tags)                           \
    "{\"id\":\"" id "\",\"computerDnsName\":\"" name "\",\"onboardingStatus\":\"" onboarding \
    "\",\"healthStatus\":\"" health "\",\"osPlatform\":\"" os "\",\"lastSeen\":\"" seen      \
    "\",\"machineTags\":[" tags "],\"rbacGroupId\":140,\"osBuild\":20348,\"aadDeviceId\":null}"
#define NEW "2026-11-20T18:31:07.7791856Z"
#define OLD "2026-06-02T04:10:55.0000000Z"
#define MACHINE(id, health, seen) \
    MACHINE_WITH(id, DC, "Onboarded", health, "WindowsServer2022", seen, "")
#define LIST(...) "{\"value\":[" __VA_ARGS__ "]}"
#define GET(where, json)                            \
    {                                               \
        "GET", where, .status = 200, .body = (json) \
    }
#define BY_NAME ROOT "/api/machines?$filter=computerDnsName%20eq%20%27" DC "%27"

#define ACTION_WITH(id, machine, status, command, start)                                           \
    "{\"id\":\"" id "\",\"type\":\"LiveResponse\",\"requestorComment\":\"cordon " NONCE            \
    ": case 1\",\"status\":\"" status "\",\"machineId\":\"" machine                                \
    "\",\"creationDateTimeUtc\":\"2026-11-20T21:02:00.3538594Z\",\"errorHResult\":0,\"commands\":" \
    "[{\"index\":0,\"startTime\":" start ",\"commandStatus\":\"" command                           \
    "\",\"errors\":[],\"command\":{\"type\":\"RunScript\",\"params\":[]}}]}"
#define STARTED "\"2026-11-20T21:04:01.92Z\""
#define PENDING ACTION_WITH(ACTION, M1, "Pending", "Created", "null")
#define RUNNING ACTION_WITH(ACTION, M1, "InProgress", "Created", STARTED)
#define SUCCEEDED ACTION_WITH(ACTION, M1, "Succeeded", "Completed", STARTED)
#define CANCELLED ACTION_WITH(ACTION, M1, "Cancelled", "Created", "null")
#define POST(status_, json)                                                    \
    {                                                                          \
        "POST", "/api/machines/" M1 "/runliveresponse",                        \
            .asks = "{\"key\":\"Args\",\"value\":\"-Payload c1_eyJ2IjoxfQ\"}", \
            .status = (status_), .body = (json)                                \
    }
#define POLL(json) GET("/api/machineactions/" ACTION, json)
#define CANCEL(status_, json)                                                      \
    {                                                                              \
        "POST", "/api/machineactions/" ACTION "/cancel",                           \
            .asks = "{\"Comment\":\"cordon: ", .status = (status_), .body = (json) \
    }
#define LOOK_FOR(json)                                                                    \
    GET("/api/machineactions?$filter=machineId%20eq%20%27" M1                             \
        "%27%20and%20type%20eq%20%27LiveResponse%27%20and%20creationDateTimeUtc%20ge%20", \
        json)
#define LINK_PATH "/api/machineactions/" ACTION "/GetLiveResponseResultDownloadLink(index=0)"
#define BLOB "https://a1.blob.core.windows.net/x?sig=secret"
#define LINK(url) GET(LINK_PATH, "{\"value\":\"" url "\"}")
#define RESULT_STATUS(status_, json)                                    \
    {                                                                   \
        "GET", BLOB, .status = (status_), .body = (json), .bare = true, \
                     .type = "application/octet-stream"                 \
    }
#define RESULT(json) RESULT_STATUS(200, json)
#define OUTPUT(marker, exit)                                  \
    "{\"script_name\":\"cordon-dc.ps1\",\"exit_code\":" #exit \
    ",\"script_output\":\"Transcript started\\r\\n" marker    \
    "\\r\\n\\u0000\",\"script_errors\":\"\"}"
#define SAID(nonce, outcome)                                      \
    "CORDON1 " nonce " {\\\"v\\\":1,\\\"outcome\\\":\\\"" outcome \
    "\\\",\\\"computer\\\":\\\"dc1\\\"}"
#define SAYS_DONE SAID(NONCE, "done")
#define SAYS_OTHER SAID("fedcba9876543210", "done")

static const uint8_t known_hash[32] = {0xab};
#define HASH "ab00000000000000000000000000000000000000000000000000000000000000"
#define LIBRARY(name, sha) \
    GET("/api/libraryfiles", LIST("{\"fileName\":\"" name "\",\"sha256\":\"" sha "\"}"))

static struct defender *new_defender(const struct sim_says *script, size_t n, const uint8_t *hash)
{
    static const char *const hosts[] = {"blob.standin.test"};
    const struct defender_settings s = {
        .url = ROOT,
        .script = "cordon-dc.ps1",
        .sha256 = hash,
        .result_hosts = hosts,
        .result_host_count = 1,
    };
    struct defender *d = NULL;
    struct err e;

    sim_script(script, n);
    if (defender_new(NULL, NULL, NULL, &s, &d, &e) < 0)
        assert_int_equal(e.code, ERR_NOMEM);
    return d;
}

struct got {
    unsigned calls;
    bool failed;
    struct err e;
    struct defender_machine m[4];
    size_t count;
    struct defender_result r;
    char marker[2048], hash[65];
    struct defender_check checks[DEFENDER_CHECKS];
};

static inline void keep(struct got *g, const struct err *e)
{
    g->calls++;
    g->failed = e != NULL;
    if (e != NULL)
        g->e = *e;
}

static inline void on_run(void *arg, const struct defender_result *r)
{
    struct got *g = arg;

    g->calls++;
    g->r = *r;
    if (r->marker != NULL)
        (void)snprintf(g->marker, sizeof(g->marker), "%.*s", (int)r->marker_len, r->marker);
    /* The link is a secret. */
    assert_null(strstr(r->words, "sig="));
}

static const struct defender_ask disable = {
    .machine_id = M1, .payload = "eyJ2IjoxfQ", .nonce = NONCE, .comment = "case 1"};

#endif
