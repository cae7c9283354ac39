/* agent/service/own.c -- requests that nobody sent: the service makes them itself, from what it
 * finds. From here on they are requests like others: judged, counted by the brake, held, answered.
 *
 * They have no signature and no message. Whoever makes one gives it an id that is the same each
 * time it is offered, so that it is taken once.
 */
#include "agent/service/service_inside.h"

#include <string.h>

#include "agent/intake/risk.h"
#include "base/log.h"
#include "base/stamp.h"
#include "base/text.h"

static bool look(void *arg, const struct request_entry *en)
{
    bool *foreign = arg;

    *foreign = en->request == NULL || en->signer[0] != '\0';
    return true;
}

/* 1: it was; 0: not; -1: *e. */
static int taken_before(struct service *s, const char *id, struct err *e)
{
    const struct job *j = job_find(s, id);
    bool foreign = false;

    if (j != NULL)
        foreign = j->signer[0] != '\0';
    else if (requests_find(s->ledger, id, look, &foreign, e) < 0)
        return e->code == ERR_NOTFOUND ? 0 : -1;
    if (foreign)
        return err_set(e, ERR_CONFLICT, 0, "ALARM: a signed request has the id %s already", id);
    return 1;
}

static int digest_of(const struct intake_request *q, char hex[2 * ID_SHA256 + 1], struct err *e)
{
    struct text body = TEXT_INIT(INTAKE_BODY_MAX);
    uint8_t hash[ID_SHA256];
    int rc = intake_request_json(q, &body, e);

    if (rc == 0)
        rc = id_sha256(body.s, body.len, hash, e);
    if (rc == 0)
        id_hex(hex, hash, sizeof(hash));
    text_done(&body);
    return rc;
}

int own_request(struct service *s, const struct intake_request *q, const char *what, bool hold,
                struct err *e)
{
    char digest[2 * ID_SHA256 + 1], case_id[ID_ULID];
    struct job *j = NULL;
    int before;

    if (s->stopping || s->sick)
        return err_set(e, ERR_BUSY, 0,
                       s->stopping ? "stopping" : "the ledger cannot be written: nothing is taken");
    before = taken_before(s, q->id, e);
    if (before != 0)
        return before > 0 ? 0 : -1;
    if (digest_of(q, digest, e) < 0 || id_ulid(case_id, stamp_now_ms(), e) < 0 ||
        job_new(s, q, digest, "", what, case_id, &j, e) < 0)
        return -1;
    j->hold = hold;
    if (job_accept(j, e) < 0) {
        job_free(j);
        return -1;
    }
    return 0;
}

void own_lost(struct job *j)
{
    if (text_starts(j->message_id, "risk:") && j->s->risks != NULL)
        intake_risk_again(j->s->risks);
    watchers_lost(j->s, j->message_id);
}
