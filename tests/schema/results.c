/* tests/schema/results.c -- answers and events as the program writes them, one a line, for
 * schema.t. */
#include <stdio.h>
#include <string.h>

#include "agent/intake/result.h"

int main(void)
{
    static const char verdict[] =
        "{\"type\":\"verdict\",\"case\":\"01KAM6V4QZ5Y8S3T9W2X7R1B0D\",\"account\":\"alice\","
        "\"sid\":\"S-1-5-21-1-2-3-1104\",\"dn\":\"CN=Alice\",\"action\":\"disable\",\"verdict\":"
        "\"done\",\"proof\":\"logged\",\"rule\":\"\",\"detail\":\"\",\"residual\":[{\"what\":"
        "\"tickets\",\"until\":\"2026-11-21T19:02:00.000Z\"},{\"what\":\"x\",\"until\":null}],"
        "\"started\":\"2026-11-21T09:14:03.000Z\",\"ended\":\"2026-11-21T09:14:05.000Z\"}";
    static const char step[] =
        "{\"type\":\"step\",\"case\":\"01KAM6V4QZ5Y8S3T9W2X7R1B0D\",\"account\":\"alice\",\"step\":"
        "\"disable\",\"target\":\"dc1.corp.example.com\",\"state\":\"done\",\"proof\":\"accepted\","
        "\"detail\":\"userAccountControl 512 -> 514\",\"ms\":38}";
    static const char hash[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    const char *steps[400];
    struct text t = TEXT_INIT(INTAKE_RESULT_MAX);
    struct err e;

    for (size_t i = 0; i < 400; i++)
        steps[i] = step;
    for (unsigned o = SIGNED_GOOD; o < SIGNED_OUTCOMES; o++) {
        /* Of what was not verified there is no id to answer to. */
        if (o >= SIGNED_NOT_CHECKED && o <= SIGNED_BAD_SIGNATURE && o != SIGNED_MALFORMED)
            continue;
        for (size_t n = 0; n <= (o == SIGNED_GOOD ? 400U : 0U); n += 200) {
            struct intake_result r = {.request = "01KAM6V4QZ5Y8S3T9W2X7R1B0C",
                                      .digest = hash,
                                      .signer = "soar",
                                      .agent = "cordon-1",
                                      .time_ms = 1795252500000,
                                      .outcome = (enum signed_outcome)o,
                                      .detail = o == SIGNED_GOOD ? NULL : "a \"sentence\"",
                                      .verdict = o == SIGNED_GOOD ? verdict : NULL,
                                      .ledger_count = 42,
                                      .ledger_head = hash,
                                      .steps = steps,
                                      .step_count = n / 2};

            text_clear(&t);
            if (intake_result_json(&r, &t, &e) < 0) {
                (void)fprintf(stderr, "%s\n", e.msg);
                return 1;
            }
            (void)printf("%s\n", t.s);
        }
    }
    for (int i = 0; i < 2; i++) {
        const struct intake_event ev = {.event = "came-back",
                                        .id = "01KAM6V4QZ5Y8S3T9W2X7R1B0E",
                                        .request = "0f8fad5b-d9cb-869f-a165-70867728950e",
                                        .case_id = "01KAM6V4QZ5Y8S3T9W2X7R1B0D",
                                        .domain = "corp.example.com",
                                        .account = "alice",
                                        .sid = i == 0 ? "S-1-5-21-1-2-3-1104" : "",
                                        .entra_id = "",
                                        .where = i == 0 ? "ad" : "entra",
                                        .who = i == 0 ? "CORP\\bob (S-1-5-21-1-2-3-1105)" : "",
                                        .what = "event 4722 #7 at dc1.corp.example.com",
                                        .policy = i == 0 ? "put-back" : "tell",
                                        .read = i == 0,
                                        .agent = "cordon-1",
                                        .time_ms = 1795252500000,
                                        .ledger_count = 42,
                                        .ledger_head = hash};

        text_clear(&t);
        if (intake_event_json(&ev, &t, &e) < 0)
            return 1;
        (void)printf("%s\n", t.s);
    }
    text_done(&t);
    return 0;
}
