#!/usr/bin/python3
"""ldap3_disable.py HOST BASE CA_FILE NAME -- the script one would write: python3-ldap3, python3-gssapi.

Over TLS, since this ldap3 neither signs nor seals under Kerberos. Finds, swaps, reads back.
"""
import ssl
import sys

from ldap3 import BASE, KERBEROS, MODIFY_ADD, MODIFY_DELETE, NONE, SASL, Connection, Server, Tls
from ldap3.utils.conv import escape_filter_chars

host, base, ca, name = sys.argv[1:]
UAC = 'userAccountControl'
tls = Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=ca)
server = Server(host, port=636, use_ssl=True, tls=tls, get_info=NONE)
c = Connection(server, authentication=SASL, sasl_mechanism=KERBEROS, auto_bind=True,
               auto_referrals=False, raise_exceptions=True)
c.search(base, f'(sAMAccountName={escape_filter_chars(name)})', attributes=[UAC])
found = [e for e in c.response if e['type'] == 'searchResEntry']
if len(found) != 1:
    sys.exit(f'{name}: {len(found)} accounts')
old = int(found[0]['raw_attributes'][UAC][0])
new = old | 2
c.modify(found[0]['dn'], {UAC: [(MODIFY_DELETE, [str(old)]), (MODIFY_ADD, [str(new)])]})
c.search(found[0]['dn'], '(objectClass=*)', BASE, attributes=[UAC])
if int(c.response[0]['raw_attributes'][UAC][0]) != new:
    sys.exit(f'{name}: not disabled')
c.unbind()
