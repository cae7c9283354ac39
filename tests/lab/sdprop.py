#!/usr/bin/python3
"""sdprop.py SMB_CONF LDAP_URL DN... -- protect accounts as Windows' SDProp would.

On Windows the PDC emulator gives AdminSDHolder's descriptor to every member of a protected
group, within 60 minutes, inheritance off. Samba never does. Run it with an administrator's
Kerberos cache: afterwards a delegated account gets 50 (insufficient access rights).
"""
import sys

import ldb
from samba.credentials import Credentials, MUST_USE_KERBEROS
from samba.dcerpc import security
from samba.ndr import ndr_pack
from samba.param import LoadParm
from samba.samdb import SamDB

lp = LoadParm()
lp.load(sys.argv[1])
creds = Credentials()
creds.guess(lp)
creds.set_kerberos_state(MUST_USE_KERBEROS)
db = SamDB(url=sys.argv[2], credentials=creds, lp=lp)
full = 'CCDCLCSWRPWPDTLOCRSDRCWDWO'
sd = security.descriptor.from_sddl(
    f'D:P(A;;LCRPLORC;;;AU)(A;;{full};;;SY)(A;;{full};;;DA)(A;;{full};;;EA)'
    '(A;;CCDCLCSWRPWPLOCRSDRCWDWO;;;BA)(OA;;CR;ab721a53-1e2f-11d0-9819-00aa0040529b;;PS)',
    security.dom_sid(db.get_domain_sid()))
for dn in sys.argv[3:]:
    m = ldb.Message(ldb.Dn(db, dn))
    m['a'] = ldb.MessageElement(ndr_pack(sd), ldb.FLAG_MOD_REPLACE, 'nTSecurityDescriptor')
    m['b'] = ldb.MessageElement('1', ldb.FLAG_MOD_REPLACE, 'adminCount')
    db.modify(m, controls=['sd_flags:1:4'])
