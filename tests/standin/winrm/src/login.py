"""The acceptor's side of Kerberos: logins, channel bindings, messages sealed as Windows does it.

MIT krb5 through python3-gssapi. What the client has not built as Windows demands is refused with
web.Bad and a sentence; the caller keeps it as a violation.
"""
import base64
import hashlib

import gssapi
import gssapi.raw as gss

from web import Bad

SPNEGO = bytes.fromhex('06062b0601050502')
KRB5 = bytes.fromhex('06092a864886f712010202')
KRB5_OID = '1.2.840.113554.1.2.2'
FLAG = gssapi.RequirementFlag
SEALED_LOGIN = (FLAG.mutual_authentication, FLAG.confidentiality, FLAG.integrity,
                FLAG.replay_detection, FLAG.out_of_sequence_detection)
# The signature algorithms' hashes (RFC 5929: SHA-256 in place of the weak ones).
HASHES = {'2a864886f70d01010c': 'sha384', '2a864886f70d01010d': 'sha512',
          '2a8648ce3d040303': 'sha384', '2a8648ce3d040304': 'sha512'}


def _der(data, at):
    """Tag, where the content begins, where it ends."""
    n, at = data[at + 1], at + 2
    if n >= 0x80:
        k = n & 0x7f
        n, at = int.from_bytes(data[at:at + k], 'big'), at + k
    return at, at + n


def end_point(cert):
    """tls-server-end-point of a certificate in DER."""
    inner, _ = _der(cert, 0)
    _, after_tbs = _der(cert, inner)
    algorithm, _ = _der(cert, after_tbs)
    start, end = _der(cert, algorithm)
    name = HASHES.get(cert[start:end].hex(), 'sha256')
    return b'tls-server-end-point:' + hashlib.new(name, cert).digest()


def token_of(value):
    """'Negotiate', token bytes of an Authorization header."""
    scheme, _, text = value.partition(' ')
    try:
        return scheme, base64.b64decode(text.strip(), validate=True)
    except ValueError as e:
        raise Bad(400, f'{scheme}: token is not base64') from e


def mechanism(scheme, token):
    """'spnego' or 'krb5', from what the token says; None for anything else (NTLM)."""
    at = _der(token, 0)[0] if len(token) > 12 and token[0] == 0x60 else 0
    if token[at:at + len(SPNEGO)] == SPNEGO and scheme == 'Negotiate':
        return 'spnego'
    if token[at:at + len(KRB5)] == KRB5:
        return 'krb5'
    return None


class Login:
    """One security context, from the first token to the last message."""

    def __init__(self, keytab, scheme, token, binding=None):
        self.scheme = scheme
        self.kind = mechanism(scheme, token)
        if self.kind is None:
            raise Bad(401, f'{scheme}: neither SPNEGO nor Kerberos in the token', close=False)
        creds = gss.acquire_cred_from({b'keytab': keytab.encode()}, usage='accept').creds
        bindings = gss.ChannelBindings(application_data=binding) if binding else None
        self.ctx = gssapi.SecurityContext(creds=gssapi.Credentials(base=creds), usage='accept',
                                          channel_bindings=bindings)
        self.ctx.__DEFER_STEP_ERRORS__ = False      # a refused login is known at once
        self.user = None
        self.bound = False

    def step(self, token):
        try:
            out = self.ctx.step(token)
        except gss.BadChannelBindingsError as e:
            raise Bad(401, 'wrong channel binding', close=False) from e
        except gssapi.exceptions.GSSError as e:
            raise Bad(401, f'login refused: {e}', close=False) from e
        return out or b''

    @property
    def done(self):
        return self.ctx.complete

    def finish(self, tls, cbt):
        """All legs are done: is it what Windows demands?"""
        flags = self.ctx.actual_flags
        self.flags = int(flags)
        self.bound = FLAG.channel_bound in flags
        if FLAG.dce_style in flags:
            raise Bad(401, 'DCE_STYLE asked for', close=False)
        if FLAG.delegate_to_peer in flags:
            raise Bad(401, 'the client has delegated its ticket', close=False)
        if tls and cbt == 'Strict' and not self.bound:
            raise Bad(401, 'no channel binding, and CbtHardeningLevel is Strict', close=False)
        missing = [f.name for f in SEALED_LOGIN if f not in flags]
        if not tls and missing:
            raise Bad(401, f'flags not asked for: {", ".join(missing)}', close=False)
        self.user = str(self.ctx.initiator_name)

    # --- messages ---

    def unseal(self, token, sealed):
        """The plain bytes of one message. What gss_wrap made in one piece (RRC 0) is no such thing."""
        if token[:2] == b'\x05\x04':
            if len(token) < 16 or not token[2] & 2:
                raise Bad(400, 'the token does not say that it is sealed')
            ec, rrc = int.from_bytes(token[4:6], 'big'), int.from_bytes(token[6:8], 'big')
            if rrc == 0:
                raise Bad(400, 'token with RRC 0: made by gss_wrap, not by gss_wrap_iov')
            if len(token) != 16 + 16 + rrc + ec:
                raise Bad(400, f'token of {len(token)} bytes with RRC {rrc}')
        elif token[:2] != b'\x02\x01':
            raise Bad(400, f'no Kerberos token: {token[:4].hex()}')
        message = gss.IOV((gss.IOVBufferType.header, False, token), sealed, std_layout=False)
        try:
            answer = gss.unwrap_iov(self.ctx, message)
        except gssapi.exceptions.GSSError as e:
            raise Bad(400, f'unsealing: {e}') from e
        if not answer.encrypted:
            raise Bad(400, 'signed, not sealed')
        return message[1].value

    def seal(self, plain):
        message = gss.IOV(gss.IOVBufferType.header, plain, gss.IOVBufferType.padding, std_layout=False)
        gss.wrap_iov(self.ctx, message, confidential=True)
        return message[0].value, message[1].value + (message[2].value or b'')
