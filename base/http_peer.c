/* base/http_peer.c -- the server's certificate, where a login is bound to it. See http_inside.h. */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <time.h>

#include "base/http_inside.h"

/* RFC 5929 4.1: the hash of the whole certificate, by the hash of its signature; where that is MD5
 * or SHA-1, by SHA-256. A signature without one hash (Ed25519) has no such binding. */
static void bind_to(X509 *x, struct http_peer *p)
{
    static const char prefix[] = "tls-server-end-point:";
    uint8_t hash[EVP_MAX_MD_SIZE];
    const EVP_MD *md;
    unsigned n = 0;
    int nid = NID_undef;

    if (X509_get_signature_info(x, &nid, NULL, NULL, NULL) != 1 || nid == NID_undef)
        return;
    md = nid == NID_md5 || nid == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(nid);
    if (md == NULL || X509_digest(x, md, hash, &n) != 1 || strlen(prefix) + n > sizeof(p->binding))
        return;
    memcpy(p->binding, prefix, strlen(prefix));
    memcpy(p->binding + strlen(prefix), hash, n);
    p->binding_len = strlen(prefix) + n;
}

static void name_it(X509 *x, struct http_peer *p)
{
    BIO *b = BIO_new(BIO_s_mem());
    char shown[TEXT_SHOWN];
    char *s;
    long n;

    if (b != NULL && X509_NAME_print_ex(b, X509_get_subject_name(x), 0, XN_FLAG_RFC2253) >= 0 &&
        (n = BIO_get_mem_data(b, &s)) > 0)
        (void)snprintf(p->subject, sizeof(p->subject), "%s", text_shownn(shown, s, (size_t)n));
    (void)BIO_free(b);
}

bool http_peer_read(const char *pem, struct http_peer *ret_peer)
{
    struct http_peer p = {0};
    BIO *b = BIO_new_mem_buf(pem, -1);
    X509 *x = b != NULL ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
    struct tm end;

    (void)BIO_free(b);
    if (x == NULL) {
        ERR_clear_error();
        return false;
    }
    bind_to(x, &p);
    name_it(x, &p);
    if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &end) == 1)
        p.ends_ms = (int64_t)timegm(&end) * 1000;
    X509_free(x);
    *ret_peer = p;
    return true;
}
