#!/usr/bin/python3
"""seed.py SMB_CONF BULK -- the people of the lab.

Runs offline, as the system itself, between provisioning and the first start: 2 ms an account
instead of a round trip each. README.md lists who is here and why.
"""
import sys

import ldb
from samba.auth import system_session
from samba.dcerpc import security
from samba.ndr import ndr_pack, ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB

DNS = 'corp.example.com'
NEVER = '-9223372036854775808'

CLASS_USER = 'bf967aba-0de6-11d0-a285-00aa003049e2'
ATTR_UAC = 'bf967a68-0de6-11d0-a285-00aa003049e2'
ATTR_PWDLASTSET = 'bf967a0a-0de6-11d0-a285-00aa003049e2'
ATTR_TOKENGROUPS = 'b7c69e6d-2cc7-11d2-854e-00a0c983f608'
RIGHT_RESET = '00299570-246d-11d0-a768-00aa006e0529'
RIGHT_CHANGE = 'ab721a53-1e2f-11d0-9819-00aa0040529b'
RIGHT_GET_CHANGES = '1131f6aa-9c07-11d1-f79f-00c04fc2dcd2'
RIGHT_GET_CHANGES_ALL = '1131f6ad-9c07-11d1-f79f-00c04fc2dcd2'

lp = LoadParm()
lp.load(sys.argv[1])
bulk = int(sys.argv[2])
db = SamDB(url=lp.samdb_url(), lp=lp, session_info=system_session(lp))
base = str(db.domain_dn())
domain_sid = security.dom_sid(db.get_domain_sid())


def dn_of(cn, ou):
    """The DN of an account. ldb escapes what must be; we never paste a name into a DN."""
    dn = ldb.Dn(db, f'CN=x,OU={ou},{base}' if '=' not in ou else f'CN=x,{ou},{base}')
    dn.set_component(0, 'CN', cn)
    return dn


def user(name, ou='People', cn=None, password=True, uac=512, klass='user', **more):
    """Add an account; values of None leave an attribute out. Without a password nothing is
    hashed (20 ms each), at the price of PASSWD_NOTREQD (544)."""
    if not password:
        uac |= 32
    values = {'objectClass': klass, 'sAMAccountName': name, 'displayName': cn or name,
              'userPrincipalName': f'{name}@{DNS}', 'mail': f'{name}@example.com',
              'userAccountControl': str(uac), **more}
    if password:
        values['unicodePwd'] = f'"Init-Pw-{name}!"'.encode('utf-16-le')
    dn = dn_of(cn or name, ou)
    db.add({'dn': dn, **{k: v for k, v in values.items() if v is not None}})
    return dn


def group(name, members=(), ou='Groups'):
    dn = dn_of(name, ou)
    db.add({'dn': dn, 'objectClass': 'group', 'sAMAccountName': name})
    if members:
        join(name, *members)
    return dn


def join(name, *members):
    db.add_remove_group_members(name, list(members), add_members_operation=True)


def put(dn, attribute, value):
    m = ldb.Message(dn)
    m['x'] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, attribute)
    db.modify(m)


def sid_of(dn):
    raw = db.search(dn, ldb.SCOPE_BASE, attrs=['objectSid'])[0]['objectSid'][0]
    return str(ndr_unpack(security.dom_sid, raw))


def grant(dn, sddl):
    """Put ACEs in front of what the object has. In front, since denials must come first and
    explicit entries before inherited ones."""
    got = db.search(dn, ldb.SCOPE_BASE, attrs=['nTSecurityDescriptor'], controls=['sd_flags:1:4'])
    sd = ndr_unpack(security.descriptor, got[0]['nTSecurityDescriptor'][0])
    new = security.descriptor.from_sddl('D:' + sddl, domain_sid)
    aces = list(new.dacl.aces) + list(sd.dacl.aces)
    sd.dacl.aces = aces
    sd.dacl.num_aces = len(aces)
    m = ldb.Message(dn)
    m['x'] = ldb.MessageElement(ndr_pack(sd), ldb.FLAG_MOD_REPLACE, 'nTSecurityDescriptor')
    db.modify(m, controls=['sd_flags:1:4'])


def protect(dn):
    """What SDProp does on Windows within the hour; Samba never does. See sdprop.py."""
    full = 'CCDCLCSWRPWPDTLOCRSDRCWDWO'
    sd = security.descriptor.from_sddl(
        f'D:P(A;;LCRPLORC;;;AU)(A;;{full};;;SY)(A;;{full};;;DA)(A;;{full};;;EA)'
        f'(A;;CCDCLCSWRPWPLOCRSDRCWDWO;;;BA)(OA;;CR;{RIGHT_CHANGE};;PS)', domain_sid)
    m = ldb.Message(dn)
    m['a'] = ldb.MessageElement(ndr_pack(sd), ldb.FLAG_MOD_REPLACE, 'nTSecurityDescriptor')
    m['b'] = ldb.MessageElement('1', ldb.FLAG_MOD_REPLACE, 'adminCount')
    db.modify(m, controls=['sd_flags:1:4'])


db.transaction_start()

# Passwords that never get old: a cached domain would otherwise be useless after 42 days. A
# lockout that only an administrator ends, else `locked1` would unlock itself in the cache.
head = ldb.Dn(db, base)
for attribute, value in (('maxPwdAge', NEVER), ('minPwdAge', '0'), ('lockoutThreshold', '10'),
                         ('lockoutDuration', NEVER), ('lockOutObservationWindow', '-18000000000')):
    put(head, attribute, value)

for ou in ('People', 'Other', 'Service', 'Groups', 'Machines'):
    db.add({'dn': f'OU={ou},{base}', 'objectClass': 'organizationalUnit'})

# The agent and a human with the same rights: disable, expire, reset and read, on users of
# OU=People and nothing else.
svc = user('svc-cordon', 'Service')
helpdesk = user('helpdesk1', 'Service', cn='Help Desk 1')
for who in (svc, helpdesk):
    sid = sid_of(who)
    grant(ldb.Dn(db, f'OU=People,{base}'),
          f'(OA;CIIO;RPWP;{ATTR_UAC};{CLASS_USER};{sid})'
          f'(OA;CIIO;RPWP;{ATTR_PWDLASTSET};{CLASS_USER};{sid})'
          f'(OA;CIIO;CR;{RIGHT_RESET};{CLASS_USER};{sid})'
          f'(OA;CIIO;RPLCLORC;;{CLASS_USER};{sid})')
db.add({'dn': f'OU=Sales,OU=People,{base}', 'objectClass': 'organizationalUnit'})

# Ordinary people.
for name in ('alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'grace', 'heidi'):
    user(name)
user('sales1', 'OU=Sales,OU=People')
user('other1', 'Other')
user('other2', 'Other')

# States.
user('pne1', uac=66048)
user('smart1', uac=262656)
user('disabled1', uac=514)
user('pnedis1', uac=66050)
user('locked1')                       # lab locks it with wrong passwords, as life does
put(user('mustchange1'), 'pwdLastSet', '0')
user('expired1', accountExpires='132539328000000000')       # 2020-12-30
# Windows shows the box "User cannot change password" for exactly these two denials; bit 0x40
# of userAccountControl is never stored.
grant(user('nochange1'), f'(OD;;CR;{RIGHT_CHANGE};;WD)(OD;;CR;{RIGHT_CHANGE};;PS)')

# Privileged in every way there is.
user('adm1')
join('Domain Admins', 'adm1')
protected = user('adm2')
join('Domain Admins', 'adm2')
protect(protected)
user('nested1')
group('HelpDesk-Leads', ['nested1'])
group('Tier0-Ops', ['HelpDesk-Leads'])
join('Domain Admins', 'Tier0-Ops')
# Primary group: in no memberOf, in no member, found by no filter; tokenGroups alone tells.
primary = user('pgadmin1')
join('Domain Admins', 'pgadmin1')
put(primary, 'primaryGroupID', '512')
put(user('former1'), 'adminCount', '1')
user('acctop1')
join('Account Operators', 'acctop1')
user('backup1')
join('Backup Operators', 'backup1')
user('dnsadm1')
join('DnsAdmins', 'dnsadm1')
for name in ('MSOL_0a1b2c3d4e5f', 'repl1'):
    sid = sid_of(user(name))
    grant(head, f'(OA;;CR;{RIGHT_GET_CHANGES};;{sid})(OA;;CR;{RIGHT_GET_CHANGES_ALL};;{sid})')
user('krbtgt_12345', uac=514)

# Cannot judge: the agent may disable it but may not read what it is a member of.
grant(user('hidden1'), f'(OD;;RP;{ATTR_TOKENGROUPS};;{sid_of(svc)})')

# Never-lists.
user('vip1')
user('vip2')
group('VIP-Board', ['vip2'])
group('VIP', ['vip1', 'VIP-Board'])

# Names to find people by.
user('twin1', mail='twin@example.com')
user('twin2', mail='twin@example.com')
user('proxy1', proxyAddresses=['SMTP:proxy1@example.com', 'smtp:first.alias@example.com',
                               'smtp:second.alias@example.net'])
user('noupn1', userPrincipalName=None)
user('nomail1', mail=None)
# One's UPN has the other's name in front. With the domain's own suffix Samba and Windows refuse
# it, since that is the UPN the other has without being given any.
user('upnswap1', userPrincipalName='upnswap2@example.com', mail=None)
user('upnswap2', userPrincipalName='upnswap1@example.com', mail=None)
user('sqlsvc1', servicePrincipalName='MSSQLSvc/sql1.corp.example.com:1433')
user('inetorg1', klass='inetOrgPerson')
anchor = user('anchor1')
put(anchor, 'mS-DS-ConsistencyGuid', bytes(range(16)))
db.add({'dn': f'CN=WS1,OU=Machines,{base}', 'objectClass': 'computer', 'sAMAccountName': 'WS1$',
        'userAccountControl': '4096'})

# Odd names. Windows refuses `"/\[]:;|=,+*?<>` in sAMAccountName, so there the odd ones are in
# cn, displayName, UPN and mail.
for name, cn, local in (
        ('odd01', 'Müller, Jürgen', 'jürgen.müller'),
        ('odd02', 'plus+minus', 'plus+tag'),
        ('odd03', 'Jane "JJ" Doe', '"jj"'),
        ('odd04', 'back\\slash\\', 'back\\slash'),
        ('odd05', '<angle> & brackets [x]', '<angle>'),
        ('odd06', 'semi;colon=equals', 'semi;colon=equals'),
        ('odd07', '#hash in front', '#hash'),
        ('odd08', 'star * (and) paren', 'star*(paren)'),
        ('odd09', ' spaces around ', None),
        ('odd10', 'דוד כהן', 'דוד'),
        ('odd11', 'invoice\u202efdp.exe', 'bidi\u202eoverride'),
        ('odd12', '🦊 Fox 👩‍💻', 'fox🦊'),
        ('odd13', '王小明', '王小明'),
        ('odd14', '$(id) `id` %s %n', '$(id)'),
        ('odd15', 'x' * 64, 'x' * 64),
        ("o'brien (ë)", "O'Brien, Zoë", "o'brien")):
    local = local or name
    user(name, cn=cn, userPrincipalName=f'{local}@{DNS}', mail=f'{local}@example.com')

# No msDS-KeyCredentialLink: this Samba has the schema of Windows 2012 R2 at the most.

db.transaction_commit()

db.transaction_start()
for i in range(1, bulk + 1):
    user(f'u{i:05d}', password=False)
    if i % 200 == 0:                  # a transaction holds its changes in memory
        db.transaction_commit()
        db.transaction_start()
db.transaction_commit()
