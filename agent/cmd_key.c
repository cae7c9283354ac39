/* agent/cmd_key.c -- key pairs for signing requests and answers: make one, show one.
 *
 * The private half is written to a file that only its owner may read, and never shown. What is
 * printed is a file that [signer/NAME] key takes: text around a PEM block does not count.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "agent/commands.h"
#include "agent/intake/signers.h"
#include "agent/verdict.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

enum { PEM_MAX = 64 * 1024 };

static int tell(const struct jws_key *k, bool json, struct err *e)
{
    struct text pem = TEXT_INIT(PEM_MAX), kid = TEXT_INIT(64), line = TEXT_INIT(2L * PEM_MAX);
    struct json_out o;
    enum jws_alg alg;
    int rc = signer_alg(k, &alg, e);

    if (rc == 0)
        rc = jws_key_public_pem(k, &pem, e);
    if (rc == 0)
        rc = jws_key_thumbprint(k, &kid, e);
    if (rc == 0 && json) {
        json_out_init(&o, &line);
        json_out_object(&o, NULL);
        json_out_str(&o, "type", "key");
        json_out_str(&o, "kid", kid.s);
        json_out_str(&o, "alg", jws_alg_name(alg));
        json_out_str(&o, "public", pem.s);
        json_out_end_object(&o);
        rc = text_check(&line, "key", e);
    }
    if (rc == 0 && json)
        (void)printf("%s\n", line.s);
    else if (rc == 0)
        (void)printf("key id: %s (%s)\n%s", kid.s, jws_alg_name(alg), pem.s);
    text_done(&pem);
    text_done(&kid);
    text_done(&line);
    return rc;
}

static int make(enum jws_alg alg, const char *out, bool json, struct err *e)
{
    CLEANUP(jws_key_freep) struct jws_key *k = NULL;
    CLEANUP(secret_freep) struct secret *pem = NULL;

    if (jws_key_new(alg, &k, e) < 0 || jws_key_private_pem(k, &pem, e) < 0 ||
        file_write_new(out, secret_bytes(pem), secret_len(pem), e) < 0)
        return -1;
    return tell(k, json, e);
}

/* A private key is read as a secret: where others may read it, that is said, and it is not used. */
static int show(const char *path, bool json, struct err *e)
{
    CLEANUP(jws_key_freep) struct jws_key *k = NULL;
    CLEANUP(secret_freep) struct secret *pem = NULL;
    struct text t = TEXT_INIT(PEM_MAX);
    bool is_private;
    int rc = file_read_any(path, PEM_MAX, &t, e);

    is_private = strstr(t.s, "PRIVATE KEY-----") != NULL;
    if (rc == 0 && is_private && strcmp(path, "-") == 0)
        rc = err_set(e, ERR_USAGE, 0, "a private key is read from a file only");
    else if (rc == 0 && is_private)
        rc = secret_from_file(path, PEM_MAX, &pem, e) < 0 ? -1 : jws_key_private(pem, &k, e);
    else if (rc == 0)
        rc = jws_key_public(t.s, t.len, &k, e);
    text_wipe(&t);
    if (rc == 0)
        rc = tell(k, json, e);
    return rc < 0 ? cmd_file_failed(e, path) : 0;
}

int cmd_key(int argc, char **argv)
{
    static const struct option options[] = {{"type", required_argument, NULL, 't'},
                                            {"out", required_argument, NULL, 'o'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *type = NULL, *out = NULL, *what;
    bool json = false;
    struct err e;
    int c, rc;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 't':
            type = optarg;
            break;
        case 'o':
            out = optarg;
            break;
        case 'j':
            json = true;
            break;
        case 'h':
            cmd_help(argv[0]);
            return 0;
        default:
            return cmd_fail(argv[0], EXIT_USAGE, "'%s': no such option, or its argument is missing",
                            argv[optind - 1]);
        }
    }
    what = optind < argc ? argv[optind] : "";
    if (strcmp(what, "new") == 0) {
        enum jws_alg alg = type != NULL && strcmp(type, "es256") == 0 ? JWS_ES256 : JWS_EDDSA;

        if (optind + 1 != argc || out == NULL)
            return cmd_fail(argv[0], EXIT_USAGE,
                            "new needs --out FILE: where the private key goes");
        if (type != NULL && strcmp(type, "es256") != 0 && strcmp(type, "ed25519") != 0)
            return cmd_fail(argv[0], EXIT_USAGE, "--type: ed25519 or es256");
        rc = make(alg, out, json, &e);
    } else if (strcmp(what, "show") == 0) {
        if (optind + 2 != argc || type != NULL || out != NULL)
            return cmd_fail(argv[0], EXIT_USAGE, "show needs one file, and no --type or --out");
        rc = show(argv[optind + 1], json, &e);
    } else {
        return cmd_fail(argv[0], EXIT_USAGE, "new or show? (--help)");
    }
    return rc < 0 ? cmd_fail(argv[0], cmd_exit_for(&e), "%s", e.msg) : 0;
}
