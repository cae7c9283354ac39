/* cloud/sync_cycle.c -- Entra Connect: the two scripts, and what they print. Pure.
 *
 * The scripts are constants; no value is ever put into one. Each prints one line of JSON made from
 * objects: texts of the server's language are only shown, never matched, but for the two words that
 * tell a running cycle from a busy connector. A script starts no cycle where it would do nothing
 * (staging) or where somebody has switched cycles off. entra-graph.md section 8.4.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"
#include "cloud/field.h"
#include "cloud/sync_inside.h"

enum { OUT_MAX = 64 * 1024, SHOWN = 160 };

#define SCRIPT_HEAD                                                               \
    "$ErrorActionPreference = 'Stop'\n"                                           \
    "$r = @{ cordon = 1; module = $false; scheduler = $null; running = $null;"    \
    " result = $null; errorType = $null; error = $null }\n"                       \
    "try {\n"                                                                     \
    "    Import-Module ADSync\n"                                                  \
    "    $r.module = $true\n"                                                     \
    "    $s = Get-ADSyncScheduler\n"                                              \
    "    $r.scheduler = $s | Select-Object SyncCycleEnabled, StagingModeEnabled," \
    " SchedulerSuspended, SyncCycleInProgress\n"                                  \
    "    $r.running = @(Get-ADSyncConnectorRunStatus).Count\n"

#define SCRIPT_TAIL                                        \
    "} catch {\n"                                          \
    "    $r.errorType = $_.Exception.GetType().FullName\n" \
    "    $r.error = [string]$_.Exception.Message\n"        \
    "}\n"                                                  \
    "$r | ConvertTo-Json -Compress -Depth 3\n"

const char sync_script_look[] = SCRIPT_HEAD SCRIPT_TAIL;

const char sync_script_start[] =
    SCRIPT_HEAD "    if ($s.SyncCycleEnabled -and -not $s.StagingModeEnabled -and -not "
                "$s.SchedulerSuspended) {\n"
                "        $r.result = [string](Start-ADSyncSyncCycle -PolicyType Delta).Result\n"
                "    }\n" SCRIPT_TAIL;

static bool contains_nocase(const char *s, const char *word)
{
    return strcasestr(s, word) != NULL;
}

static enum sync_cycle say(char *words, size_t size, enum sync_cycle c, const char *what,
                           const char *detail)
{
    char shown[SHOWN];

    (void)field_shown(shown, sizeof(shown), detail);
    (void)snprintf(words, size, "%s%s%s", what, shown[0] != '\0' ? ": " : "", shown);
    return c;
}

static enum sync_cycle read_error(const struct cJSON *j, bool module, char *words, size_t size)
{
    const char *type = json_str(j, "errorType"), *text = json_str(j, "error");

    text = text != NULL ? text : "";
    if (type != NULL &&
        (contains_nocase(type, "UnauthorizedAccess") || contains_nocase(type, "SecurityException")))
        return say(words, size, SYNC_CYCLE_DENIED,
                   "the sync server refuses it (the account must be in ADSyncOperators)", text);
    if (!module || (type != NULL && contains_nocase(type, "CommandNotFound")))
        return say(words, size, SYNC_CYCLE_NO_MODULE,
                   "the ADSync module cannot be loaded: is this the sync server?", text);
    if (type != NULL && contains_nocase(type, "InvalidOperationException")) {
        if (contains_nocase(text, "already running"))
            return say(words, size, SYNC_CYCLE_RUNNING, "a sync cycle is running already", NULL);
        if (contains_nocase(text, "busy"))
            return say(words, size, SYNC_CYCLE_BUSY, "a connector of the sync server is busy",
                       text);
    }
    return say(words, size, SYNC_CYCLE_FAILED, "the sync server could not start a cycle", text);
}

static enum sync_cycle read_scheduler(const struct cJSON *j, char *words, size_t size)
{
    const struct cJSON *s = json_get(j, "scheduler");
    const char *result = json_str(j, "result");
    bool enabled, staging, suspended = false, progress = false;
    int64_t running = 0;

    if (!json_bool(s, "SyncCycleEnabled", &enabled) ||
        !json_bool(s, "StagingModeEnabled", &staging))
        return say(words, size, SYNC_CYCLE_UNREADABLE,
                   "the sync server's answer does not say how its scheduler is set", NULL);
    (void)json_bool(s, "SchedulerSuspended", &suspended);
    (void)json_bool(s, "SyncCycleInProgress", &progress);
    (void)json_i64(j, "running", &running);
    if (staging)
        return say(words, size, SYNC_CYCLE_STAGING,
                   "the sync server is in staging mode and never exports: name the active one in "
                   "sync_server",
                   NULL);
    if (!enabled)
        return say(words, size, SYNC_CYCLE_OFF,
                   "sync cycles are switched off on the sync server (SyncCycleEnabled is False)",
                   NULL);
    if (suspended)
        return say(words, size, SYNC_CYCLE_OFF,
                   "the sync server's scheduler is suspended (its wizard is open, or an upgrade "
                   "runs)",
                   NULL);
    if (result != NULL && text_eq_nocase(result, "Success"))
        return say(words, size, SYNC_CYCLE_STARTED, "a delta sync cycle was started", NULL);
    if (result != NULL && result[0] != '\0')
        return say(words, size, SYNC_CYCLE_FAILED, "the sync server did not start a cycle", result);
    if (progress || running > 0)
        return say(words, size, SYNC_CYCLE_RUNNING, "a sync cycle is running already", NULL);
    return say(words, size, SYNC_CYCLE_READY, "the sync server is ready", NULL);
}

enum sync_cycle sync_read_cycle(const char *out, size_t n, char *words, size_t size)
{
    const struct json_limits lim = {.bytes = OUT_MAX, .flags = JSON_FLOATS};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    const char *error;
    bool module = false;
    int64_t version;
    struct err e;

    if (json_parse(out, n, &lim, &j, &e) < 0 || !json_i64(j, "cordon", &version) || version != 1)
        return say(words, size, SYNC_CYCLE_UNREADABLE, "the sync server's answer cannot be read",
                   NULL);
    (void)json_bool(j, "module", &module);
    error = json_str(j, "errorType");
    if (error != NULL || json_str(j, "error") != NULL || !module)
        return read_error(j, module, words, size);
    return read_scheduler(j, words, size);
}
