/* tests/fuzz/fuzz_winrm_seal.c -- a sealed frame: whatever the bytes, an error or parts that lie
 * within them; and what we write around any bytes is read as it was. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/soap.h"
#include "base/winrm_seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_frame(const uint8_t *s, size_t n, const char *type, enum winrm_seal how)
{
    struct winrm_sealed r;
    struct err e = ERR_NONE;

    if (winrm_seal_read(s, n, type, how, &r, &e) < 0) {
        assert(e.code == ERR_INVALID || e.code == ERR_UNSUPPORTED);
        return;
    }
    assert(r.token >= s + 4 && r.sealed == r.token + r.token_len);
    assert(r.sealed + r.sealed_len < s + n);
    assert(r.plain_len <= SOAP_MAX_ANSWER);
    assert(strlen(r.original_type) < sizeof(r.original_type));
}

static void there_and_back(const uint8_t *s, size_t n, enum winrm_seal how)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(1024 * 1024 * 16);
    size_t token = n / 3;
    struct winrm_sealed r;
    struct err e;

    winrm_seal_write(&t, how, 7, s, token, s + token, n - token);
    assert(winrm_seal_read(t.s, t.len, winrm_seal_type(how), how, &r, &e) == 0);
    assert(r.plain_len == 7 && r.token_len == token && r.sealed_len == n - token);
    assert(n == 0 || memcmp(r.token, s, n) == 0); /* they lie side by side */
}

/* Up to the first NUL: the Content-Type; "" and what we would write ourselves are tried, too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const uint8_t *end = n > 0 ? memchr(data, '\0', n) : NULL;

    for (enum winrm_seal how = WINRM_SEAL_SPNEGO; how <= WINRM_SEAL_KERBEROS; how++) {
        if (end != NULL)
            read_frame(end + 1, (size_t)(data + n - end - 1), (const char *)data, how);
        read_frame(data, n, winrm_seal_type(how), how);
        there_and_back(data, n, how);
    }
    return 0;
}
