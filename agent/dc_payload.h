/* agent/dc_payload.h -- what installer/defender/cordon-dc.ps1 is told, and what it answers. Pure.
 *
 *   order    one line of JSON in one fixed form, as base64url: the script checks it against one
 *            pattern, so a member in another place is no order
 *   marker   "CORDON1 NONCE JSON" at the start of a line. The JSON is a claim of a machine that we
 *            want to help: read strictly, compared with the order, and never a proof
 *
 * The script has these numbers and words, too; tests/powershell/dc.js compares the two, and both
 * sides are tried on tests/data/defender/vectors.json.
 */
#ifndef CORDON_AGENT_DC_PAYLOAD_H
#define CORDON_AGENT_DC_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"
#include "ldap/sid.h"

#define DC_ARGUMENT_PREFIX "c1_" /* before the base64url: nothing else it may look like */
#define DC_MARKER_PREFIX "CORDON1 "
#define DC_SCRIPT_VERSION "1"
#define DC_PAYLOAD_MIN 200      /* base64url characters */
#define DC_PAYLOAD_MAX 1024     /* of them, too */
#define DC_AHEAD_MS 1800000     /* later than now + this may no order end */
#define DC_NONCE 17             /* 16 hexadecimal digits, lower case, and the NUL */
#define DC_MARKER_JSON_MAX 4096 /* bytes */
#define DC_EVENTS 8

enum dc_op { DC_DISABLE, DC_ENABLE, DC_EXPIRE_PASSWORD, DC_RESET_PASSWORD, DC_PROBE };
const char *dc_op_word(enum dc_op op); /* "disable" ... */

struct dc_order {
    enum dc_op op;
    struct ad_sid sid;   /* the account; none with DC_PROBE */
    struct ad_guid guid; /* the same one's objectGUID; zero with DC_PROBE */
    const char *domain;  /* borrowed: its DNS name, in any case */
    int64_t expires_ms; /* Unix; the script refuses from then on, and more than DC_AHEAD_MS ahead */
    char nonce[DC_NONCE];
    const char *case_id;      /* borrowed: a ULID */
    bool clear_never_expires; /* DC_EXPIRE_PASSWORD, or with must_change */
    bool must_change;         /* DC_RESET_PASSWORD only */
};

int dc_nonce(char buf[DC_NONCE], struct err *e);

/* Appends the base64url, without DC_ARGUMENT_PREFIX. ERR_INTERNAL: no order that the script would
 * take; ERR_TOOBIG, ERR_NOMEM. */
int dc_payload_build(const struct dc_order *o, struct text *payload, struct err *e);

enum dc_outcome {
    DC_DONE,    /* changed, and read again */
    DC_ALREADY, /* it was so */
    DC_REFUSED, /* nothing was changed: the script's own no */
    DC_FAILED,  /* nothing was changed: the DC's no, or it got no further */
    DC_UNKNOWN, /* sent, and no clear answer */
};
const char *dc_outcome_word(enum dc_outcome outcome);

enum dc_log { DC_LOG_SEEN, DC_LOG_NOT_SEEN, DC_LOG_UNREADABLE, DC_LOG_NOT_ASKED };

struct dc_event {
    int64_t id, record;
};
struct dc_said {
    enum dc_outcome outcome;
    char code[33];                      /* why; "" where all is said. Words: dc_code_words */
    char detail[161];                   /* of an exception, for the log */
    char version[17];                   /* the script's */
    bool has_uac_before, has_uac_after; /* userAccountControl */
    uint32_t uac_before, uac_after;
    bool has_pwd_before, has_pwd_after; /* pwdLastSet, 100 ns since 1601; 0: must change */
    int64_t pwd_before, pwd_after;
    int64_t usn;                       /* uSNChanged there, afterwards; 0: not told */
    enum dc_log log;                   /* did the DC's Security log say so? */
    struct dc_event events[DC_EVENTS]; /* of that account, after the change was begun */
    size_t event_count;
    char computer[256]; /* the DC's DNS name, as it calls itself */
    char lang[33];      /* PowerShell's language mode there */
    int64_t time_ms;    /* its clock */
};

/* The marker's JSON (cloud/defender.h found the line, and our nonce in it). ERR_INVALID: a member
 * is missing, too many, of another kind or out of its alphabet; of another order; or the outcome
 * and the values contradict each other. */
int dc_marker_read(const char *json, size_t n, const struct dc_order *o, struct dc_said *ret_said,
                   struct err *e);

/* A code of the script as a sentence for a person, and what mends it. NULL: not known. */
const char *dc_code_words(const char *code);

#endif
