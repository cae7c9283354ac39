#!/usr/bin/env bash
# What goes wrong out there: DCs that vanish or hang, logs that are silent, other people's changes,
# bad files, dead tickets. One question each time: did the verdict tell the truth?
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
lab up --dcs 2 "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
fast() { sed -e "s/^\[cordon\]/[cordon]\nconfirm = 2s\nwait = 6s/" "$LAB_DIR/cordon.conf" >"$work/f.conf"; chmod 600 "$work/f.conf"; conf=$work/f.conf; }
fast

# --- two DCs ------------------------------------------------------------------------------------
run disable alice
is "$(verdict)" "done everywhere 0" "two DCs: written to both, proven everywhere"
like "$(steps)" "disable/done/[a-z-]+ .*disable/done/[a-z-]+" "  each its own swap"
is "$(grep -c '"step":"confirm","target":"dc[12].*"state":"done"' "$work/out")" 2 "  each its own evidence"

lab cut dc2 "$LAB_DIR"
run disable bob
is "$(field verdict) $(field proof) $rc" "done logged 0" "dc2 cut: done by dc1, proven by its log"
like "$(field residual)" "dc2" "  dc2 is named among what may still be open"
lab join dc2 "$LAB_DIR"
lab cut dc1 "$LAB_DIR"
run disable carol
is "$(field verdict) $(field proof) $rc" "done logged 0" "dc1 cut: dc2 takes it"
run expire-password carol
is "$(field verdict) $(field proof)" "done logged" "dc1 cut: what goes to one DC fails over"
lab join dc1 "$LAB_DIR"
lab hang dc2 "$LAB_DIR"
run disable dave
is "$(field verdict) $(field proof) $rc" "done logged 0" "dc2 hangs: dc1 did it"
like "$(grep '"step":"disable","target":"dc2' "$work/out")" 'failed' "  and dc2 is not claimed"
lab wake dc2 "$LAB_DIR"
lab kill dc1 "$LAB_DIR"; lab kill dc2 "$LAB_DIR"
run disable erin
is "$(field verdict) $(field proof) $rc" "failed none 15" "no DC at all: failed, nothing changed"
like "$(field detail)" "(KDC|connect|refused)" "  with the cause"
lab start dc1 "$LAB_DIR"; lab start dc2 "$LAB_DIR"; lab ready dc1 "$LAB_DIR"; lab ready dc2 "$LAB_DIR"
run disable erin
is "$(field verdict)" done "the DCs are back"

run disable frank --dc dc2.corp.example.com
is "$(verdict)" "done everywhere 0" "--dc: written to one, replicated to the other"
like "$(steps)" "push/skipped" "  the other is asked to pull it; Samba does not offer that, and we say so"
sed '/^events_file/a write = first' "$conf" >"$work/w.conf"; chmod 600 "$work/w.conf"; conf=$work/w.conf
run disable grace
is "$(verdict) $(grep -c '"step":"disable"' "$work/out")" "done everywhere 0 1" "write = first: one DC, then replication"
fast

# --- the log is silent, or lies ----------------------------------------------------------------------
set_conf() { sed "$1" "$LAB_DIR/cordon.conf" | sed -e "s/^\[cordon\]/[cordon]\nconfirm = 2s\nwait = 6s/" >"$work/s.conf"; chmod 600 "$work/s.conf"; conf=$work/s.conf; }
set_uac alice 512; sleep 1
set_conf 's#:[^,]*audit.json#:/nonexistent/audit.json#g'
run disable alice
is "$(verdict)" "unconfirmed read-back 10" "the log is not there: unconfirmed"
like "$(field detail)" "not there" "  and says why"
: >"$work/empty.json"
set_uac alice 512; sleep 1
set_conf "s#:[^,]*audit.json#:$work/empty.json#g"
run disable alice
is "$(verdict)" "unconfirmed read-back 10" "an empty log (auditing off): unconfirmed"
like "$(field detail)" "audit" "  with the probable cause"
set_conf 's/^events = .*/events = none/; /^events_file/d'
set_uac alice 512; sleep 1
run disable alice
is "$(field verdict) $rc" "done 0" "events = none: read back is all there is, and enough"

# Someone else's line for the same account in the same second is not ours: a log in which every line
# of ours bears another actor.
fast
set_uac alice 512; sleep 1
: >"$work/forged.json"; chmod 644 "$work/forged.json"
set_conf "s#:[^,]*audit.json#:$work/forged.json#g"
( tail -n0 -F "$LAB_DIR/dc1/log/audit.json" 2>/dev/null | stdbuf -oL sed 's/"userSid": "\(S-1-5-21-[0-9-]*\)-[0-9]*"/"userSid": "\1-500"/' >>"$work/forged.json" ) & tailer=$!
sleep 0.5
run disable alice --dc dc1.corp.example.com
is "$(field verdict) $rc" "unconfirmed 10" "the log says that someone else did it: not taken for ours"
like "$(cat "$work/out")" "someone else|the same change by" "  and told"
pkill -P $tailer 2>/dev/null; kill $tailer 2>/dev/null; wait $tailer 2>/dev/null
fast

# A race: others write userAccountControl all the time. The swap must not lose their bits.
set_uac alice 512; sleep 1
( for _ in 1 2 3 4 5 6; do set_uac alice 1049088; set_uac alice 512; done ) & racer=$!
run disable alice
wait $racer
case $(field verdict) in done | unconfirmed | failed) ok "a race over userAccountControl ends in a verdict ($(field verdict))" ;; *) not_ok "a race" "$(field verdict)" ;; esac

# --- credentials -----------------------------------------------------------------------------------------
as=caller
lab exec "$LAB_DIR" env KRB5CCNAME="FILE:$work/none" CORDON_CONFIG="$conf" "$cordon" disable alice --json >"$work/out" 2>"$work/err"; rc=$?
is "$(field verdict) $rc" "failed 15" "no ticket: failed, nothing changed"
like "$(field detail)" "kinit" "  and says what to type"
as=agent
cp "$LAB_DIR/svc.keytab" "$work/k.keytab"; chmod 644 "$work/k.keytab"
set_conf "s#^keytab = .*#keytab = $work/k.keytab#"
run disable alice
is "$rc" 78 "a keytab that others can read is refused"
like "$(cat "$work/err" "$work/out")" "chmod" "  with the chmod to type"
set_conf "s#^principal = .*#principal = nobody@CORP.EXAMPLE.COM#"
run disable alice
is "$(field verdict) $rc" "failed 15" "an unknown principal"
# A wrong key counts towards the lock-out of our own account: one run, one try.
printf 'addent -password -p svc-cordon@CORP.EXAMPLE.COM -k 1 -e aes256-cts-hmac-sha1-96\nnot-it\nwkt %s\n' "$work/wrong.keytab" | ktutil >/dev/null
chmod 600 "$work/wrong.keytab"
set_conf "s#^keytab = .*#keytab = $work/wrong.keytab#"
bad_tries() { # at both: it is not replicated
    local n=0 dc v
    for dc in dc1 dc2; do
        v=$(lab exec "$LAB_DIR" -u admin ldapsearch -Q -Y GSSAPI -N -LLL -H "ldap://$dc.corp.example.com" -b DC=corp,DC=example,DC=com '(sAMAccountName=svc-cordon)' badPwdCount | sed -n 's/^badPwdCount: //p')
        n=$((n + ${v:-0}))
    done
    echo "$n"
}
before=$(bad_tries)
run disable alice
is "$(field verdict) $rc" "failed 15" "a keytab with a wrong key"
like "$(field detail)" "make the keytab anew" "  and says what to do"
is "$(($(bad_tries) - before))" 1 "  and the KDCs have seen it once"
fast

# --- LDAPS ----------------------------------------------------------------------------------------------
set_uac alice 512; sleep 1
set_conf "s#^\[domain.*#&\ntransport = ldaps\nca_file = $LAB_DIR/ca.pem#"
run disable alice
is "$(verdict)" "done everywhere 0" "LDAPS: bound inside TLS, and nothing lost on the way"
set_uac alice 512; sleep 1
set_conf "s#^\[domain.*#&\ntransport = ldaps#"
run disable alice
is "$(field verdict) $rc $(uac alice)" "failed 15 512" "LDAPS: a certificate of an authority that is not ours"
like "$(cat "$work/out")" "[Cc]ertificate" "  and says so"
fast

# --- configuration ------------------------------------------------------------------------------------------
cp "$LAB_DIR/cordon.conf" "$work/c.conf"; chmod 644 "$work/c.conf"; conf=$work/c.conf
run disable alice; is "$rc" 78 "a configuration that others can read is refused"
like "$(cat "$work/err")" "chmod" "  with the chmod to type"
chmod 600 "$work/c.conf"; echo "kytab = x" >>"$work/c.conf"
run disable alice; is "$rc" 78 "an unknown key: nothing runs"
like "$(cat "$work/err")" "c.conf:[0-9]+.*keytab" "  file, line, and what was meant"
conf=$work/absent.conf; run disable alice; is "$rc" 78 "no configuration"
fast

# --- the ledger ------------------------------------------------------------------------------------------------
set_uac alice 512; sleep 1
mkdir "$work/open"; chmod 777 "$work/open"; extra_env="CORDON_STATE=$work/open" run disable alice
is "$rc $(uac alice)" "78 512" "a state folder that others may write to: refused, nothing is changed"
mkdir -m 700 "$work/broken"; echo "this is no database, it only says so" >"$work/broken/ledger.db"; chmod 600 "$work/broken/ledger.db"
extra_env="CORDON_STATE=$work/broken" run disable alice
is "$(field verdict) $rc $(uac alice)" "failed 15 512" "a broken ledger: nothing is changed"
mkdir -m 700 "$work/full" # each lab exec has mounts of its own: all in one
# shellcheck disable=SC2016
lab exec "$LAB_DIR" bash -c 'mount -t tmpfs -o size=96k,mode=700 tmpfs "$1" && dd if=/dev/zero of="$1/fill" bs=1k count=88 2>/dev/null
    CORDON_CONFIG=$2 CORDON_STATE=$1 "$3" disable alice --json --as-agent' - "$work/full" "$conf" "$cordon" >"$work/out" 2>"$work/err"
rc=$?
is "$(uac alice)" 512 "a full disk under the ledger: nothing is changed"
is "$rc" 15 "  and the exit code says failed"

# --- nothing of the environment decides -----------------------------------------------------------------------
extra_env="LDAPTLS_REQCERT=never LDAPURI=ldap://127.0.0.1 SASL_PATH=/nonexistent OPENSSL_CONF=/nonexistent" run disable alice
is "$(field verdict)" done "LDAPURI, SASL_PATH and their like are not heard"
done_testing
