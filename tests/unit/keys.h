/* tests/unit/keys.h -- keys for tests: those of RFC 7515 (A.2, A.3) and RFC 8037 (A.1), published
 * long ago and so no secrets, and certificates made with them. */
#ifndef CORDON_TESTS_KEYS_H
#define CORDON_TESTS_KEYS_H

static const char key_rsa_private[] __attribute__((unused)) =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCh+BYK4uPJtGXO\n"
    "jS1lYmM2K5J9vinh8CR3/BYlzJChNuOL2TSXxbbqY913EeZ8dCn5VrD7io8ImtxL\n"
    "aYk8wTM/U+3QGbh3hCUv7JFP5IV3aVlL6kKA0ywPVb9ilE8TA5a8bpvfbr3SvaNn\n"
    "juygxmj3AbONv/s4yDQs4v5tJ/reSlpIdJed1LnPmt7Ex1sFhSwsD174pcF1A5L5\n"
    "ROjtZMEQxrZHYJqkeDrrnGya11UxMFBji4NmXG9veoKjlnAqH2QbgtPr8jkiGUkf\n"
    "toaHLFcW9Qr4NY2ai50Xw0Byj3+H2JoY2PyrZ62EWQwuz3WTOTY8BwNNb2BvniHg\n"
    "VFbK5emhAgMBAAECggEAEq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyW\n"
    "PEAeP88vLNO97IjlA7/GQ5sLKMgvfTeXZx9SE+7YwVol2NXOoAJe46sui395IW/G\n"
    "O+pWJ1O0BkTGoVEn2bKVRUCgu+GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzj\n"
    "kn439X0M/V51gfpRLI9JYanrC4D4qAdGcopV/0ZHHzQlBjudU2QvXt4ehNYTCBr6\n"
    "XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl/x/jTj3ccPDVZFD9pIuhLhBOneufuBiB\n"
    "4cS98l2SR/RQyGWSeWjnczT0QU91p1DhOVRuOopznQKBgQDgHMQQ60imZV1URk0K\n"
    "pLttoLhyt3SmqdEf/kgHePDdtzEafpAu+cS191R2JiuoF2yzWXnwFDcqGigp5BNr\n"
    "0AHQfD8/Lk8l1Mk09jxxCfui5nYooNyac8YFjm3vItzVCVDnEd3BbVWG8qf6deqE\n"
    "lMGAg+C2V0L4oNXnP7LZcPAZRwKBgQC5A8R+CZW2MvRTLLHzwZkUXV866cff7tx6\n"
    "kqa0finGG0KgeqlaZPxgCZnFp7AeAcCMtiynVlJ7vMVgePsLq6XtON4tB5kP9jAP\n"
    "rq3rbAOal78eUH5OcED6eNuCV8ixEu1eWcPNCS/l1OW1EnXUEoEHKl54Xrrz2uNw\n"
    "kgMTP1FZ1wKBgAcCn1dwJKufzBWQxWQp1vsM5fggqPN1qGb5y0MAk3g7/Ls5bkUp\n"
    "5u9SN0Ai3Ya6hNnvWJMb7sXQX6U/zyO2M/hTip7tUeh7CXgwo59dkpN75gJLVds2\n"
    "9+DAncu3KXU4f2Fa+7bLNrur53k8KwPOq2bbuTG69QtV7Jr5MR0AHWKNAoGBAIf/\n"
    "evpitUf+4JYbLpvNXWcY052Mpz22aR84mY3nh3F2LF2mjMJDpTg7FmuyPcVw6EcG\n"
    "yoAe9fa65iNqCq+jdw6PVNGo2hxfjSiZ8IIzHdsPXI89//pMjZcQK9r+CCoRjaZj\n"
    "OYiIDktVWZzmevJuv6WywUqd57LE3Zar3dLSIkx1AoGAIYd7DHOhrWvxkwPQsRM2\n"
    "tOgrjbcrfvtQJipd+DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd/QJQ3\n"
    "ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp/gh6A56\n"
    "03k2+ZQwVK0JKSHuLFkuQ3U=\n"
    "-----END PRIVATE KEY-----\n";
static const char key_rsa_public[] __attribute__((unused)) =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj\n"
    "NiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz\n"
    "P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo\n"
    "9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB\n"
    "EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX\n"
    "FvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp\n"
    "oQIDAQAB\n"
    "-----END PUBLIC KEY-----\n";
static const char key_ec_private[] __attribute__((unused)) =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff\n"
    "H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp\n"
    "7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt\n"
    "-----END PRIVATE KEY-----\n";
static const char key_ec_public[] __attribute__((unused)) =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
    "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
    "-----END PUBLIC KEY-----\n";
static const char key_ed_private[] __attribute__((unused)) =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
static const char key_ed_public[] __attribute__((unused)) =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
    "-----END PUBLIC KEY-----\n";
static const char cert_rsa[] __attribute__((unused)) =
    "-----BEGIN CERTIFICATE-----\n"
    "MIICpzCCAY+gAwIBAgIBBzANBgkqhkiG9w0BAQsFADAWMRQwEgYDVQQDDAtjb3Jk\n"
    "b24tdGVzdDAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowFjEUMBIG\n"
    "A1UEAwwLY29yZG9uLXRlc3QwggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwggEKAoIB\n"
    "AQCh+BYK4uPJtGXOjS1lYmM2K5J9vinh8CR3/BYlzJChNuOL2TSXxbbqY913EeZ8\n"
    "dCn5VrD7io8ImtxLaYk8wTM/U+3QGbh3hCUv7JFP5IV3aVlL6kKA0ywPVb9ilE8T\n"
    "A5a8bpvfbr3SvaNnjuygxmj3AbONv/s4yDQs4v5tJ/reSlpIdJed1LnPmt7Ex1sF\n"
    "hSwsD174pcF1A5L5ROjtZMEQxrZHYJqkeDrrnGya11UxMFBji4NmXG9veoKjlnAq\n"
    "H2QbgtPr8jkiGUkftoaHLFcW9Qr4NY2ai50Xw0Byj3+H2JoY2PyrZ62EWQwuz3WT\n"
    "OTY8BwNNb2BvniHgVFbK5emhAgMBAAEwDQYJKoZIhvcNAQELBQADggEBAEf8V7hL\n"
    "wuPTPGy3wA62vztIgE+Oc53F1l7rbsZDIjrkpWHrF9l3UXGzzx5LionVFL+JJWiH\n"
    "0HxUpnZAPTS153SacOJad4ymhjYmso432aSUJ65ruHQC8clwYTk1v0GHLhlvgAgs\n"
    "4HLGW+8CvMAcUQS4kg8WCxBRktj7kETVpuqlJBBhyXNxX8oD40psX8JNWyvQ1VUF\n"
    "7s+QsWcRjLxiMPaUThpkuyvKEP3n5CN+r1yWnLW4n4sIAOcMX6Di1a8zfbEJeY/Y\n"
    "G4y2Bwy9goiGAWTRBHWtD2YUBdvyEkb/uKsNZITtMluTLKg6d2UF16iDmhVHV532\n"
    "QyWegOvnkF70exU=\n"
    "-----END CERTIFICATE-----\n";
#define CERT_RSA_X5T "PxQfYtylSV-KZ_f4_FPpxSHKvgU"
#define CERT_RSA_X5T_S256 "Ip3E9tSdGstjgJi0CivzpCFfUgNC-62mFENpsXyssuU"
static const char cert_old[] __attribute__((unused)) =
    "-----BEGIN CERTIFICATE-----\n"
    "MIICozCCAYugAwIBAgIBBzANBgkqhkiG9w0BAQsFADAVMRMwEQYDVQQDDApjb3Jk\n"
    "b24tb2xkMB4XDTIwMDEwMTAwMDAwMFoXDTIxMDIwMzA0MDUwNlowFTETMBEGA1UE\n"
    "AwwKY29yZG9uLW9sZDCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAKH4\n"
    "Fgri48m0Zc6NLWViYzYrkn2+KeHwJHf8FiXMkKE244vZNJfFtupj3XcR5nx0KflW\n"
    "sPuKjwia3EtpiTzBMz9T7dAZuHeEJS/skU/khXdpWUvqQoDTLA9Vv2KUTxMDlrxu\n"
    "m99uvdK9o2eO7KDGaPcBs42/+zjINCzi/m0n+t5KWkh0l53Uuc+a3sTHWwWFLCwP\n"
    "XvilwXUDkvlE6O1kwRDGtkdgmqR4OuucbJrXVTEwUGOLg2Zcb296gqOWcCofZBuC\n"
    "0+vyOSIZSR+2hocsVxb1Cvg1jZqLnRfDQHKPf4fYmhjY/KtnrYRZDC7PdZM5NjwH\n"
    "A01vYG+eIeBUVsrl6aECAwEAATANBgkqhkiG9w0BAQsFAAOCAQEARJcVs/qcFLCu\n"
    "8BJ51LGR/VdEYT9HlCCGGqn0o64qocokNP/bsEAVg2f56PZ4tt8aIYXPR5xyAQ0u\n"
    "J+62Uq+WK4wt8m/AWWEOIMezpoqKUGNOU40KkpSv3/0SWeNsgWugNrg1KdwqaU4K\n"
    "WrS3DKGt2mU8izdmHdrtdeWyUmX4i1PBHdgURRlm36/MkZBnGA2ogf0iSvntyeSa\n"
    "a9m94wCzvo54dvRGQTxPUOZi4Bm5dLkyp6rfJyiSrRINFpc31pyDfzN3l5HqvsY2\n"
    "me6ealAbvy0E5XMvbNwSdiE3uNhKgubYnZBAQeGsOmdBRBgTb1yl/kc31ExyW6Gl\n"
    "VWqMnsBjYQ==\n"
    "-----END CERTIFICATE-----\n";
#define CERT_OLD_X5T "XWfVcaG5LqkSQ07BDALva5L-LAU"
#define CERT_OLD_X5T_S256 "429rk11DmEbiQdaDF7S39nO9ATtEQ__8OpiUuL9xuAs"
static const char cert_other[] __attribute__((unused)) =
    "-----BEGIN CERTIFICATE-----\n"
    "MIICnzCCAYegAwIBAgIBBzANBgkqhkiG9w0BAQsFADASMRAwDgYDVQQDDAdhbm90\n"
    "aGVyMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjASMRAwDgYDVQQD\n"
    "DAdhbm90aGVyMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAleig0wvm\n"
    "zfzKFlKzTzbdGezdxcowet88p5t5mVu466sV02EltqSPn7+P1RacmexuAZcOeC9D\n"
    "5U7KtPKX5vCoom4qPKCpNaTafgp+oe3UudqqgSWd4OTVsEL+yf4gqI93LICK+4cI\n"
    "tdsYtOvRnFzgCDD2hQ3jdtNozFt5OuDGjJgd6mngcy95MC2MJbP1Tr0p3CnSw812\n"
    "bOccW0GhZr0fKBypfbWVU564jXrwjsBzsQ/j0bB1YI+vJcbsC1CSxyJ5/OTsljEr\n"
    "dSyMT1dY1jtLyqb7cg7wBKl8AlWfVDn1B0vL+L3tgc5LcD3xFYcDmK/qnB7K5qUs\n"
    "LCeL5W6PNSuY1QIDAQABMA0GCSqGSIb3DQEBCwUAA4IBAQBhuiJFwhQgv0cs/WH/\n"
    "xEFezRGD9TFayRB7Z4JpJWKNrh4Nogs4q1XbB2KZu/bXu6FQKgh5yBWk8p8dAfgu\n"
    "D/jYNrrsoyOwFVPyJeNUltOq/X8J9CsJKPeOdIfSP663LcrpXqJzj23+juTmYh6U\n"
    "ry3Zj37h8VfmFvjWuFiImvgN4zcUGF6peUYEBYK2kViFDnQjz+Dxhx2Eh3oJNmYM\n"
    "03ahIC54F0y+5AgNwTUJYYkFcEEl36Jf8udsE+g9/pEE/huchk91kk+IzBG7xOeg\n"
    "9hdn9oQvHx1QBJgs4hF30E6+wdjxNbeCAYei11AgHg2g0FRvKOOgk4P0kbl834kt\n"
    "cSfy\n"
    "-----END CERTIFICATE-----\n";
#define CERT_OTHER_X5T "36X8_cNzS3cnHa_LEl20axQLtJg"
#define CERT_OTHER_X5T_S256 "3US1XmxF3e7Q1dlvdfvQ0x5asjHH-msHagaNUZC7SZY"
#endif
