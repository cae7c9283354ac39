/* tests/fuzz/fuzz_winrm_auth.c -- headers of a WinRM's login: challenges and cookies. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/winrm_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *s = malloc(n + 1), cookie[WINRM_COOKIE];
    struct winrm_challenge c;
    struct err e;

    if (s == NULL)
        return 0;
    memcpy(s, data, n);
    s[n] = '\0';
    winrm_challenge_init(&c);
    for (int i = 0; i < 2; i++) { /* as two headers */
        if (winrm_challenge_add(&c, s, "Negotiate", &e) < 0)
            assert(!c.has_token);
    }
    assert(strlen(c.offered) < sizeof(c.offered));
    assert(!c.has_token || (c.named && c.token.len <= WINRM_TOKEN_MAX));
    text_done(&c.token);
    if (winrm_cookie(s, cookie))
        assert(strlen(cookie) > 0 && strpbrk(cookie, "\r\n;, ") == NULL);
    (void)winrm_is_type(s, "multipart/encrypted");
    free(s);
    return 0;
}
