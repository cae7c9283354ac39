/* cloud/graph_error.c -- what Graph refused, in words that name the cause and the next step.
 *
 * Decided on the status first, then on `code`; the message is only shown, but for three cases that
 * have no code of their own (entra-graph.md 3.3). Several shapes of error bodies are read.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cloud/graph_inside.h"

#define WHY_SHIFT 16 /* err.native: status | why << 16 */

enum graph_why graph_why_of(const struct err *e)
{
    return (enum graph_why)((unsigned)e->native >> WHY_SHIFT);
}

long graph_status_of(const struct err *e)
{
    return e->native & 0xffff;
}

/* The least permission for a call, by what its path has in it: the first that fits. */
static const struct {
    const char *method, *part, *role;
} needs[] = {
    {"POST", "revokeSignInSessions", "User.RevokeSessions.All"},
    {"POST", "invalidateAllRefreshTokens", "User.RevokeSessions.All"},
    {"POST", "/identityProtection/", "IdentityRiskyUser.ReadWrite.All"},
    {"GET", "/identityProtection/riskyUsers", "IdentityRiskyUser.Read.All"},
    {"GET", "/identityProtection/", "IdentityRiskEvent.Read.All"},
    {"POST", "/identityAccounts/", "SecurityIdentitiesActions.ReadWrite.All"},
    {"GET", "/identityAccounts", "SecurityIdentitiesAccount.Read.All"},
    {"POST", "runHuntingQuery", "ThreatHunting.Read.All"},
    {"POST", "provisionOnDemand", "Synchronization.ReadWrite.All"},
    {"GET", "/synchronization/", "Synchronization.Read.All"},
    {"GET", "/servicePrincipals", "Application.Read.All"},
    {"GET", "/auditLogs/", "AuditLog.Read.All"},
    {"GET", "roleEligibilitySchedule", "RoleEligibilitySchedule.Read.Directory"},
    {"GET", "/roleManagement/", "RoleManagement.Read.Directory"},
    {"GET", "administrativeUnit", "AdministrativeUnit.Read.All"},
    {"PATCH", "/users/", "User.EnableDisableAccount.All"},
    {"GET", "/groups", "GroupMember.Read.All"},
    {"GET", "/users", "User.Read.All"},
};

static const char *need_of(const struct graph_call *c)
{
    if (strcmp(c->method, "PATCH") == 0 && c->body != NULL && strstr(c->body, "passwordProfile"))
        return "User-PasswordProfile.ReadWrite.All";
    for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
        if (strcmp(needs[i].method, c->method) == 0 && strstr(c->path, needs[i].part) != NULL)
            return needs[i].role;
    }
    return NULL;
}

static bool has(const char *s, const char *part)
{
    return s != NULL && strcasestr(s, part) != NULL;
}

static bool is_role_missing(const struct graph_call *c, const char *role)
{
    const struct token_source *t = c->g->token;

    return role != NULL && token_readable(t) && !token_has_role(t, role);
}

static enum graph_why forbidden(const struct graph_call *c, const char *code, const char *message,
                                const char **ret_step, char *buf, size_t size)
{
    const char *role = need_of(c);

    *ret_step = "";
    if (has(message, "restricted management") || has(message, "administrative unit")) {
        *ret_step = ": the user is in a restricted management unit: give cordon's service "
                    "principal a role at that unit's scope";
        return GRAPH_WHY_RESTRICTED;
    }
    if (has(code, "NonPremiumTenant") || has(message, "premium") || has(message, "licen")) {
        *ret_step = ": the tenant has no licence for it (Entra ID P1 or P2)";
        return GRAPH_WHY_LICENCE;
    }
    if (is_role_missing(c, role)) {
        (void)snprintf(buf, size,
                       ": grant cordon's application the permission %s, with admin consent "
                       "(docs/permissions.md)",
                       role);
        *ret_step = buf;
        return GRAPH_WHY_PERMISSION;
    }
    if (graph_is_write(c) && strstr(c->path, "/users/") != NULL) {
        *ret_step = ": the user is an administrator, it seems: only a service principal with an "
                    "Entra role (User Administrator, or Privileged Authentication Administrator) "
                    "may do this";
        return GRAPH_WHY_PRIVILEGED;
    }
    if (role != NULL) {
        (void)snprintf(buf, size, ": it needs the permission %s (docs/permissions.md)", role);
        *ret_step = buf;
    }
    return GRAPH_WHY_PERMISSION;
}

int graph_error(const struct graph_call *c, const struct graph_reply *r, struct err *e)
{
    const struct cJSON *error = json_get(r->json, "error");
    const char *code = json_str(error, "code"), *message = json_str(error, "message"), *step = "";
    char shown[TEXT_SHOWN], shown_code[TEXT_SHOWN], buf[200];
    const long status = r->status;
    enum graph_why why = GRAPH_WHY_OTHER;
    enum err_code ec = ERR_REFUSED;

    if (code == NULL)
        code = json_str(error, "errorCode");
    if (status == 401) {
        ec = ERR_AUTH;
        step = ": the token is refused, a new one as well";
    } else if (status == 403) {
        ec = ERR_DENIED;
        why = forbidden(c, code, message, &step, buf, sizeof(buf));
    } else if (status == 404 && has(code, "NotFound")) { /* else a gateway, or a wrong root */
        ec = ERR_NOTFOUND;
        why = GRAPH_WHY_NOT_FOUND;
    } else if (status == 429 || status == 503) {
        ec = ERR_BUSY;
        why = GRAPH_WHY_THROTTLED;
        step = ": throttled, and not let through in time";
    } else if (status == 400 && has(code, "UnsupportedQuery")) {
        ec = ERR_UNSUPPORTED;
        why = GRAPH_WHY_UNSUPPORTED_QUERY;
    } else if (status == 400 && has(message, "on-premises mastered")) {
        why = GRAPH_WHY_ON_PREM;
        step = ": AD owns it, so only a synchronisation changes it";
    } else if (status >= 500 || status == 408) {
        ec = graph_is_write(c) ? ERR_UNPROVEN : ERR_TIMEOUT;
    } else if (status == 409 || status == 423) {
        ec = ERR_BUSY;
    } else if (status < 400) {
        ec = graph_is_write(c) ? ERR_UNPROVEN : ERR_INVALID;
        step = ": no answer of Graph's";
    }
    /* Whoever said so, it was not Graph: nothing is known of permissions then. */
    if (r->foreign != NULL) {
        why = GRAPH_WHY_OTHER;
        (void)snprintf(buf, sizeof(buf),
                       ": the answer is %s, not Graph's JSON: a proxy or gateway said it, it seems",
                       r->foreign);
        step = buf;
    }
    (void)err_set(e, ec, (int)((unsigned)(status & 0xffff) | (unsigned)why << WHY_SHIFT),
                  "Graph answers %ld%s%s%s (%.120s; request-id %.40s, client-request-id %.40s)",
                  status, code != NULL && code[0] != '\0' ? " " : "",
                  code != NULL ? text_shown(shown_code, code) : "", step,
                  message != NULL ? text_shown(shown, message) : "no words",
                  r->request_id[0] != '\0' ? r->request_id : "none", r->client_request_id);
    return -1;
}
