#!/usr/bin/python3
"""LDIF of accounts on stdin, JSON lines for the stand-in's mirror on stdout."""
import base64
import json
import sys
import uuid

from samba.dcerpc import security
from samba.ndr import ndr_unpack


def flush(entry):
    if "sAMAccountName" not in entry or "objectSid" not in entry:
        return
    print(json.dumps({
        "sam": entry["sAMAccountName"].decode(),
        "sid": str(ndr_unpack(security.dom_sid, entry["objectSid"])),
        "guid": str(uuid.UUID(bytes_le=entry["objectGUID"])),
        "upn": entry.get("userPrincipalName", b"").decode() or entry["sAMAccountName"].decode() + "@corp.example.com",
        "dn": entry["dn"].decode(),
        "enabled": not int(entry.get("userAccountControl", b"512")) & 2,
    }))


entry = {}
for line in sys.stdin.buffer.read().split(b"\n"):
    if not line:
        flush(entry)
        entry = {}
    elif b":: " in line:
        name, value = line.split(b":: ", 1)
        entry[name.decode()] = base64.b64decode(value)
    elif b": " in line:
        name, value = line.split(b": ", 1)
        entry[name.decode()] = value
flush(entry)
