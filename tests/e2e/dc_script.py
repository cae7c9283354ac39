#!/usr/bin/python3
"""dc_script.py -- plays installer/defender/cordon-dc.ps1 on a DC of the lab: what `standin serve
--defender-run` calls (tests/standin/src/dcscript.js says what it is given).

It checks the order, the machine and the account as the script does, really changes the account in
the DC's own database, as the DC's SYSTEM, and writes the same line. Samba's audit line of that
change has the SID S-1-5-18; it is written by the process that makes the change, so it is put into
the DC's audit log from here. Another script, for the sync server, is played by play_sync. CORDON_DC_NEVER: SIDs that are never touched, comma-separated.
"""
import base64
import json
import os
import re
import secrets
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LAB = "/run/lab"  # inside the lab's namespaces
MAX_AHEAD_MS = 1800000
ARGUMENT = re.compile(r"-Payload (c1_[A-Za-z0-9_-]{200,1024})")
ORDER = re.compile(
    r'\{"v":1,"op":"(?P<op>disable|enable|expire-password|reset-password|probe)",'
    r'"sid":"(?P<sid>S-1-5-21(-(0|[1-9][0-9]{0,9})){4}|)",'
    r'"guid":"(?P<guid>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|)",'
    r'"domain":"(?P<domain>[a-z0-9_][a-z0-9._-]{0,253})",'
    r'"expires":(?P<expires>[1-9][0-9]{12}),"nonce":"(?P<nonce>[0-9a-f]{16})",'
    r'"case":"(?P<case>[0-7][0-9A-HJKMNP-TV-Z]{25})",'
    r'"clear_never_expires":(?P<clear>true|false),"must_change":(?P<must>true|false)\}')
PRIVILEGED_RIDS = (498, 500, 502, 512, 516, 517, 518, 519, 520, 521, 522, 526, 527)
PRIVILEGED_BUILTIN = (544, 548, 549, 550, 551, 552, 556, 557, 569, 578, 579)
NO_USERS = {"computer", "msDS-ManagedServiceAccount", "msDS-GroupManagedServiceAccount",
            "msDS-DelegatedManagedServiceAccount", "trustedDomain"}
DISABLED, NEVER_EXPIRES, SMART_CARD_ONLY = 0x2, 0x10000, 0x40000
COMPUTED, TYPE_BITS = 0x800050, 0x4003900
ATTRIBUTES = ["objectClass", "objectSid", "sAMAccountName", "sAMAccountType", "userAccountControl",
              "pwdLastSet", "primaryGroupID", "adminCount", "isCriticalSystemObject",
              "msDS-SecondaryKrbTgtNumber", "tokenGroups", "sIDHistory", "uSNChanged"]


def now_ms():
    return time.time_ns() // 1000000


def read_order(args):
    """The order as a dict of checked values; None where it is none."""
    m = ARGUMENT.fullmatch(args)
    if not m:
        return None
    text = m[1][3:]
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != text:
        return None
    m = ORDER.fullmatch(raw.decode("latin-1"))
    if not m:
        return None
    o = m.groupdict()
    probes = o["op"] == "probe"
    o["clear"], o["must"] = o["clear"] == "true", o["must"] == "true"
    o["expires"] = int(o["expires"])
    if (o["sid"] == "") != probes or (o["guid"] == "") != probes:
        return None
    if (o["must"] and o["op"] != "reset-password") or (o["clear"] and o["op"] != "expire-password" and not o["must"]):
        return None
    return o


class Directory:
    """The DC's own database, opened as its SYSTEM. What Samba prints meanwhile is kept."""

    def __init__(self, dc):
        import ldb
        from samba.auth import system_session
        from samba.param import LoadParm
        from samba.samdb import SamDB
        self.ldb = ldb
        lp = LoadParm()
        lp.load(f"{LAB}/{dc}/etc/smb.conf")
        self.db = SamDB(url=f"{LAB}/{dc}/private/sam.ldb", lp=lp, session_info=system_session())

    def entry(self, dn):
        found = self.db.search(base=dn, scope=self.ldb.SCOPE_BASE, attrs=ATTRIBUTES)
        return found[0]

    def modify(self, dn, edits):
        m = self.ldb.Message(self.ldb.Dn(self.db, dn))
        flags = {"delete": self.ldb.FLAG_MOD_DELETE, "add": self.ldb.FLAG_MOD_ADD,
                 "replace": self.ldb.FLAG_MOD_REPLACE}
        for n, (name, how, value) in enumerate(edits):
            m[str(n)] = self.ldb.MessageElement([value], flags[how], name)
        self.db.modify(m)


def number(entry, name):
    return int(str(entry[name][0])) if name in entry else None


def sids(entry, name):
    from samba.dcerpc import security
    from samba.ndr import ndr_unpack
    return [str(ndr_unpack(security.dom_sid, bytes(v))) for v in entry.get(name, [])]


def is_privileged(sid):
    rid = int(sid.rsplit("-", 1)[1])
    if sid in os.environ.get("CORDON_DC_NEVER", "").split(","):
        return True
    if re.fullmatch(r"S-1-5-32-[0-9]+", sid):
        return rid in PRIVILEGED_BUILTIN
    return bool(re.fullmatch(r"S-1-5-21(-[0-9]+){4}", sid)) and rid in PRIVILEGED_RIDS


def refusal(entry, order, domain_sid):
    """Why this account is none of ours, as a code; "" where it may be changed."""
    sid = sids(entry, "objectSid")[0]
    name = str(entry["sAMAccountName"][0]) if "sAMAccountName" in entry else ""
    classes = {str(c) for c in entry.get("objectClass", [])}
    uac = number(entry, "userAccountControl")
    head, rid = sid.rsplit("-", 1)
    if sid != order["sid"]:
        return "another-account"
    if head != domain_sid:
        return "another-domain"
    if int(rid) < 1000 or str(entry.get("isCriticalSystemObject", ["FALSE"])[0]) == "TRUE":
        return "built-in"
    if re.fullmatch(r"krbtgt(_.*)?", name, re.I) or "msDS-SecondaryKrbTgtNumber" in entry:
        return "krbtgt"
    if "user" not in classes or classes & NO_USERS or name == "" or name.endswith("$"):
        return "no-user"
    if number(entry, "sAMAccountType") != 805306368 or uac is None or uac & TYPE_BITS:
        return "no-user"
    groups = sids(entry, "tokenGroups")
    if f"{domain_sid}-{number(entry, 'primaryGroupID')}" not in groups:
        return "cannot-judge"
    if any(is_privileged(s) for s in [sid] + groups + sids(entry, "sIDHistory")):
        return "privileged"
    return "privileged" if number(entry, "adminCount") not in (0, None) else ""


def obey(args, dc, said):
    order = read_order(args)
    if order is None:
        said["code"] = "payload"
        return
    said.update(nonce=order["nonce"], op=order["op"], sid=order["sid"])
    left = order["expires"] - now_ms()
    if left <= 0 or left > MAX_AHEAD_MS:
        said["code"] = "expired" if left <= 0 else "too-far-ahead"
        return
    if not os.path.isdir(f"{LAB}/{dc}/private"):
        said["code"] = "no-dc"
        return
    d = Directory(dc)
    domain = d.db.domain_dns_name()
    said["computer"] = f"{dc}.{domain}"
    if domain.lower() != order["domain"]:
        said["code"] = "another-domain"
        return
    if order["op"] == "probe":
        said.update(outcome="done", code="probe")
        return
    dn = f"<GUID={order['guid']}>"
    entry = d.entry(dn)
    said["code"] = refusal(entry, order, d.db.get_domain_sid())
    if said["code"]:
        return
    change(d, str(entry.dn), entry, order, said)


def change(d, dn, entry, order, said):
    uac, pwd = number(entry, "userAccountControl"), number(entry, "pwdLastSet")
    resets = order["op"] == "reset-password"
    forces = order["op"] == "expire-password" or order["must"]
    said.update(uac_before=uac, pwd_before="" if pwd is None else str(pwd))
    if forces and (pwd is None or uac & SMART_CARD_ONLY or (uac & NEVER_EXPIRES and not order["clear"])):
        said["code"] = ("cannot-judge" if pwd is None else
                        "smart-card-only" if uac & SMART_CARD_ONLY else "never-expires")
        return
    to = uac & ~COMPUTED
    to = {"disable": to | DISABLED, "enable": to & ~DISABLED}.get(order["op"], to)
    to = to & ~NEVER_EXPIRES if forces else to
    bits = (uac ^ to) & ~COMPUTED
    expires = forces and (resets or pwd != 0)
    if not bits and not expires and not resets:
        said["outcome"] = "already"
        return
    edits = []
    if resets:
        password = f'"{secrets.token_urlsafe(30)}aA1-"'
        said["sent"] += 1
        d.modify(dn, [("unicodePwd", "replace", password.encode("utf-16-le"))])
        said["accepted"] += 1
    if bits:
        edits += [("userAccountControl", "delete", str(uac)), ("userAccountControl", "add", str(to))]
    if expires:
        edits += [("pwdLastSet", "replace", "0")]
    if edits:
        said["sent"] += 1
        d.modify(dn, edits)
        said["accepted"] += 1
    said.update(outcome="unknown", code="not-so")
    after = d.entry(dn)
    uac_after, pwd_after = number(after, "userAccountControl"), number(after, "pwdLastSet")
    said.update(uac_after=uac_after, pwd_after=str(pwd_after), usn=number(after, "uSNChanged"), log="unreadable")
    so = ((uac_after ^ to) & bits) == 0 and (not expires or pwd_after == 0)
    if so and (expires or not resets or pwd_after != pwd):
        said.update(outcome="done", code="")


def play_sync(given):
    """installer/defender/cordon-sync.ps1 on a sync server. adsync.json in the lab says how that is,
    and counts its cycles."""
    m = re.fullmatch(r"-Payload (c1_[A-Za-z0-9_-]{80,160})", str(given["args"]))
    text = m[1][3:] if m else ""
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("latin-1")
    m = re.fullmatch(r'\{"v":1,"op":"(sync-look|sync-start)","expires":([1-9][0-9]{12}),"nonce":"([0-9a-f]{16})"\}', raw)
    op, nonce = (m[1], m[3]) if m else ("", "0" * 16)
    left = int(m[2]) - now_ms() if m else 0
    code = "payload" if not m else "expired" if left <= 0 else "too-far-ahead" if left > MAX_AHEAD_MS else ""
    said = {"v": 1, "version": "1", "op": op, "outcome": "refused" if code else "done", "code": code, "answer": None}
    if not code:
        with open(f"{LAB}/adsync.json", encoding="ascii") as f:
            state = json.load(f)
        answer = {"cordon": 1, "module": True, "running": int(state.get("running", 0)), "result": None,
                  "scheduler": {"SyncCycleEnabled": True, "StagingModeEnabled": bool(state.get("staging")),
                                "SchedulerSuspended": False, "SyncCycleInProgress": bool(state.get("running"))},
                  "errorType": None, "error": None}
        if op == "sync-start" and state.get("error"):
            answer.update(errorType="System.InvalidOperationException", error=state["error"])
        elif op == "sync-start" and not state.get("staging"):
            answer["result"] = "Success"
            state["cycles"] = state.get("cycles", 0) + 1
            with open(f"{LAB}/adsync.json", "w", encoding="ascii") as f:
                json.dump(state, f)
        said["answer"] = answer
    said.update(computer="SYNC1", lang="FullLanguage", time=now_ms())
    print(f"CORDON1 {nonce} {json.dumps(said, separators=(',', ':'))}")


def main():
    given = json.load(sys.stdin)
    if str((given.get("script") or {}).get("name", "")).startswith("cordon-sync-"):
        play_sync(given)
        return
    dc = str(given["machine"]["name"]).split(".")[0]
    said = {"nonce": "0" * 16, "v": 1, "version": "1", "op": "", "outcome": "refused", "code": "", "detail": "",
            "sid": "", "uac_before": None, "uac_after": None, "pwd_before": "", "pwd_after": "", "usn": None,
            "log": "not-asked", "events": [], "computer": dc, "lang": "FullLanguage", "sent": 0, "accepted": 0}
    with tempfile.TemporaryFile() as noise:
        kept = os.dup(1), os.dup(2)
        os.dup2(noise.fileno(), 1)
        os.dup2(noise.fileno(), 2)
        try:
            obey(str(given["args"]), dc, said)
        except Exception as e:  # as the script: nothing was sent, or nobody knows
            said["outcome"] = "unknown" if said["accepted"] or (said["sent"] and type(e).__name__ != "LdbError") else "failed"
            said["code"] = f"ldap-{e.args[0]}" if type(e).__name__ == "LdbError" else "exception"
            said["detail"] = type(e).__name__
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        noise.seek(0)
        audit = [b"  " + line.strip() + b"\n" for line in noise if line.strip().startswith(b'{"timestamp"')]
    if audit:
        with open(f"{LAB}/{dc}/log/audit.json", "ab", buffering=0) as log:
            log.write(b"".join(audit))
    nonce = said.pop("nonce")
    del said["sent"], said["accepted"]
    said["time"] = now_ms()
    print(f"CORDON1 {nonce} {json.dumps(said, separators=(',', ':'))}")


if not os.path.isdir(LAB) and "LAB_DIR" in os.environ:
    lab = os.path.join(HERE, "..", "lab", "lab")
    os.execv(lab, [lab, "exec", sys.executable, os.path.abspath(__file__)])
main()
