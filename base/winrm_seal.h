/* base/winrm_seal.h -- the multipart/encrypted form of a sealed SOAP message (MS-WSMV 2.2.9.1).
 *
 * Framing only: who seals and unseals is base/gss.h. Pure.
 */
#ifndef CORDON_BASE_WINRM_SEAL_H
#define CORDON_BASE_WINRM_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

enum winrm_seal { WINRM_SEAL_SPNEGO, WINRM_SEAL_KERBEROS };

/* Value of the Content-Type header of such a message. */
const char *winrm_seal_type(enum winrm_seal how);
/* Append the body: `plain_len` is the length of the SOAP before sealing. No TAB, no empty line. */
void winrm_seal_write(struct text *out, enum winrm_seal how, size_t plain_len, const void *token,
                      size_t token_len, const void *sealed, size_t sealed_len);

struct winrm_sealed { /* points into the message that was read */
    const uint8_t *token, *sealed;
    size_t token_len, sealed_len;
    size_t plain_len;        /* `Length`, at most SOAP_MAX_ANSWER */
    char original_type[128]; /* "application/soap+xml;charset=UTF-8": type and charset of the plain
                                text, as a Content-Type */
};
/* Read a message: header case, blanks, TABs, a missing boundary parameter and the like as winrm.md
 * 2.4 has seen them. `content_type` as received. ERR_INVALID: not that form, another protocol than
 * `how`, lengths that do not fit; ERR_UNSUPPORTED: x-multi-encrypted (CredSSP). */
int winrm_seal_read(const void *s, size_t n, const char *content_type, enum winrm_seal how,
                    struct winrm_sealed *ret, struct err *e);

#endif
