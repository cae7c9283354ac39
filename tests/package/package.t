#!/usr/bin/env bash
# tests/package/package.t -- the Debian package, and the service under a real systemd. TAP; root.
#
# Builds the package of the release preset, and a second one with a higher version; boots a minimal
# Debian in systemd-nspawn, on the lab's network and no other; and there installs, configures, breaks,
# upgrades, removes and purges it. Nothing of it stays but build/package-cache.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
release=$here/build/release
unit=$here/installer/systemd/cordon.service
work=$(mktemp -d)
tree=$work/tree
export LAB_DIR=$work/lab
n=0 failed=0 nspawn='' leader=''
lab() { "$here/tests/lab/lab" "$@"; }
finish() {
    if [ -n "$nspawn" ]; then
        kill -KILL "${leader:-$nspawn}" 2>/dev/null
        wait "$nspawn"
    fi
    [ -z "${place:-}" ] || { kill "$place" && wait "$place"; } 2>/dev/null
    lab down "$LAB_DIR" >/dev/null 2>&1
    rm -rf "$work"
}
trap finish EXIT
ok() { n=$((n + 1)); echo "ok $n - $1"; }
not_ok() { n=$((n + 1)); failed=$((failed + 1)); echo "not ok $n - $1"; shift; printf '#   %s\n' "$@"; sed 's/^/#   /' "$work/said" 2>/dev/null | tail -n 20; }
is() { if [ "$1" = "$2" ]; then ok "$3"; else not_ok "$3" "got:    $1" "wanted: $2"; fi; }
like() { if [[ $1 =~ $2 ]]; then ok "$3"; else not_ok "$3" "got:   $1" "like:  $2"; fi; }
does() { local name=$1; shift; if "$@" >"$work/said" 2>&1; then ok "$name"; else not_ok "$name" "exit $?: $*"; fi; }
does_not() { local name=$1; shift; if "$@" >"$work/said" 2>&1; then not_ok "$name" "it did: $*"; else ok "$name"; fi; }
until_so() { # COMMAND...: within a minute
    local _
    for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return 0; sleep 0.2; done
    return 1
}
bail() { echo "Bail out! $1"; tail -n 40 "$work"/*.log | sed 's/^/#   /'; exit 1; }

# --- the package
export CCACHE_NOHASHDIR=1
{ cd "$here" && cmake --preset release && cmake --build --preset release; } >"$work/build.log" 2>&1 || bail "no release"
pack() { (cd "$release" && cpack -B "$work/out" "$@") >>"$work/build.log" 2>&1; }
pack && pack -R 99.0 || bail "no package"
deb=$(echo "$work"/out/cordon_0*.deb) newer=$(echo "$work"/out/cordon_99*.deb)
does "the package is made" test -f "$deb" -a -f "$newer"
does "lintian finds no error and no warning" lintian --allow-root --fail-on error,warning "$deb"
is "$(cat "$work/said")" "" "  and says nothing at all"
dpkg-deb --fsys-tarfile "$deb" | tar -t >"$work/list"
for f in etc/cordon/cordon.conf usr/share/man/man1/cordon.1.gz usr/share/man/man5/cordon.conf.5.gz usr/share/cordon/ad-delegate.sh \
    usr/share/cordon/windows/Grant-CordonRights.ps1 usr/share/cordon/defender/cordon-dc.ps1 usr/share/bash-completion/completions/cordon; do
    grep -qx "./$f" "$work/list" || echo "$f"
done >"$work/missing"
is "$(cat "$work/missing")" "" "program, settings, manual, completions and the scripts for the directory are in it"

# --- the unit, as it is written. The threshold is ten times what it shows.
does "exposure is 1.2 at most" systemd-analyze security --offline=true --no-pager --threshold=12 "$unit"
does_not "  (which another unit would not pass)" systemd-analyze security --offline=true --no-pager --threshold=12 "$here/tests/package/plain.service"
stop=$(sed -n 's/^#stop_timeout = \([0-9]*\)s$/\1/p' "$release/installer/cordon.conf")
wait=$(sed -n 's/^TimeoutStopSec=\([0-9]*\)s$/\1/p' "$unit")
does "systemd waits longer than the service does at its stop ($wait s, $stop s)" test "$wait" -gt "$stop"

# --- a machine
deps=$(dpkg-deb -f "$deb" Depends | sed 's/|[^,]*//g; s/([^)]*)//g; s/,/ /g')
# shellcheck disable=SC2086 # several words
"$here/tests/package/tree" "$tree" $deps iproute2 >"$work/tree.log" 2>&1 || bail "no Debian"
cp "$deb" "$newer" "$tree/root/"
lab up "$LAB_DIR" >"$work/lab.log" 2>&1 || bail "no lab"
lab cut dc1
cp "$LAB_DIR"/etc/{hosts,resolv.conf,krb5.conf} "$tree/etc/"
: >"$tree/etc/machine-id" # no first boot, which would switch on what configures networks
"$here/tests/lab/lab" exec sleep infinity 2>/dev/null & # the place on its network
place=$!
there() { [ "$(readlink "/proc/$place/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
until_so there || bail "no place on the lab's network"
flags=(--register=no --resolv-conf=off "--hostname=$(hostname)")
# A machine of its own would have Landlock; nspawn takes it away.
flags+=("--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self")
[ -d /run/systemd/system ] || flags+=(--keep-unit)
systemd-nspawn -q -D "$tree" -M "cordon-$$" "${flags[@]}" "--network-namespace-path=/proc/$place/ns/net" --boot </dev/null >"$work/boot.log" 2>&1 &
nspawn=$!
# m COMMAND...: on that machine, as its root
m() { nsenter -t "$leader" -m -u -i -n -p -C -r -w env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"; }
booted() { leader=$(pgrep -P "$nspawn") && [[ $(m systemctl is-system-running) =~ running|degraded ]]; }
until_so booted || bail "it does not boot"
agent() { m setpriv --reuid cordon --regid cordon --clear-groups "$@"; }
show() { m systemctl show -p "$1" --value cordon; }
log() { m journalctl -q --no-pager -o cat -u cordon; }
said() { log | grep -q "$1"; }
mode() { m stat -c '%U:%G %a' "$@" 2>&1; }

# --- installed
does "it is installed" m dpkg -i "/root/$(basename "$deb")"
is "$(m systemctl is-enabled cordon) $(show ActiveState)" "disabled inactive" "  and neither enabled nor started"
is "$(mode /etc/cordon /etc/cordon/cordon.conf /etc/cordon/conf.d /etc/cordon/credentials /var/lib/cordon)" \
    "root:cordon 750
root:cordon 640
root:cordon 750
root:root 700
cordon:cordon 700" "  settings and credentials are root's, the state is the agent's"
does_not "before it is configured it does not start" m systemctl start cordon
is "$(show ExecMainStatus) $(show ActiveState)" "78 failed" "  and is not tried again"
does "  and says what is missing" said "cordon.conf.*'domains' is missing"

# --- configured; its DC is cut off
keys() {
    cd /etc/cordon/credentials || exit
    umask 077
    cordon key new --out agent.pem >/root/agent.pub
    install -d -o cordon -m 700 /opt/soar # who asks
    cordon key new --out /opt/soar/key.pem >/etc/cordon/soar.pub
    chown cordon /opt/soar/key.pem
    chmod 644 /etc/cordon/soar.pub
    chown root:cordon /etc/cordon/conf.d/10-site.conf
    chmod 640 /etc/cordon/conf.d/10-site.conf
}
install -m 600 "$LAB_DIR/svc.keytab" "$tree/etc/cordon/credentials/keytab"
sed -i '0,/^#domains = /s//domains = /' "$tree/etc/cordon/cordon.conf"
handed=/run/credentials/cordon.service
cat >"$tree/etc/cordon/conf.d/10-site.conf" <<C
[cordon]
log_level = info
[domain/corp.example.com]
dcs = dc1.corp.example.com
keytab = $handed/secret_keytab
connect_timeout = 1s
[signer/soar]
key = /etc/cordon/soar.pub
actions = disable
[queue]
engine = spool
directory = /var/lib/cordon/queue
result_directory = /var/lib/cordon/results
signing_key = $handed/secret_agent.pem
C
m bash -c "$(declare -f keys); keys"
does "root may check the settings" m cordon config check
does "  the agent, too" agent cordon config check
does_not "  nobody else" m setpriv --reuid nobody --regid nogroup --clear-groups cordon config check
does "it starts, with no DC in reach" m systemctl enable --now cordon
pid=$(show MainPID)
is "$(show ActiveState) $(m stat -c '%U' "/proc/$pid")" "active cordon" "  as its own user"
is "$(m sed -n 's/^Cap...:\t//p' "/proc/$pid/status" | sort -u)" 0000000000000000 "  without any capability"
does "  and says that nothing can be done in the domain yet" until_so said "domain=corp.example.com nothing can be done in it yet"
m cordon status >"$work/said" 2>&1; rc=$?
is "$rc $(grep -c 'no DC of corp.example.com can be used' "$work/said")" "10 1" "  status: degraded, and why"
does "  its own user may ask" agent sh -c 'cordon status; [ $? = 10 ]'
does_not "  nobody else" m setpriv --reuid nobody --regid nogroup --clear-groups sh -c 'cordon status; [ $? = 10 ]'

# --- what it holds, and what it can touch. S2, U1
is "$(m stat -c '%a' "$handed/secret_agent.pem" | cut -c1) $(agent cat "$handed/secret_agent.pem" | grep -c 'BEGIN PRIVATE')" "4 1" "credentials are handed over, to read"
does_not "  their originals are not the agent's to read" agent cat /etc/cordon/credentials/agent.pem
does_not "  nor the copies anybody else's" m setpriv --reuid nobody --regid nogroup --clear-groups cat "$handed/secret_agent.pem"
inside() { m nsenter -t "$pid" -m -- "$@"; } # even root, where the service is
for f in /etc/cordon/cordon.conf /usr/bin/cordon /var/lib/dpkg/status /root/x /srv/x; do inside sh -c "echo >>$f" 2>/dev/null && echo "$f"; done >"$work/written"
is "$(cat "$work/written")" "" "the system is read-only to it"
does "  but for its own folders" inside sh -c 'touch /var/lib/cordon/x /run/cordon/x && rm /var/lib/cordon/x /run/cordon/x'
is "$(inside ls /dev | grep -cE '^(kmsg|mem|sd.*|rtc.*)$')" 0 "  devices are not there"
is "$(m ss -Hltun)" "" "no port is listened at"
does "tickets have their place in the runtime folder" m grep -qz '^KRB5CCNAME=FILE:/run/cordon/' "/proc/$pid/environ"

# --- a request waits until a DC is there, through all that follows
submitted=$(agent cordon submit disable alice --key /opt/soar/key.pem --expires 50m --json 2>&1)
like "$submitted" '"id":"[0-9A-Z]{26}"' "a signed request is put on the queue"
id=$(sed -n 's/.*"id":"\([^"]*\)".*/\1/p' <<<"$submitted")
count() { agent cordon audit verify --json 2>&1 | sed -n 's/.*"count":\([0-9]*\).*/\1/p'; }

# --- watchdog
mkdir -p "$tree/etc/systemd/system/cordon.service.d"
printf '[Service]\nWatchdogSec=6s\nRestartSec=100ms\n' >"$tree/etc/systemd/system/cordon.service.d/short.conf"
m systemctl daemon-reload; m systemctl restart cordon
pid=$(show MainPID); sleep 9
is "$(show NRestarts) $(show MainPID)" "0 $pid" "the watchdog is fed for longer than its time"
m sh -c "kill -STOP $pid"
again() { [ "$(show NRestarts)" = 1 ] && [ "$(show ActiveState)" = active ]; }
does "stopped in its tracks it is started anew" until_so again
like "$(m journalctl -q --no-pager -o cat -t systemd)" "Watchdog timeout" "  by the watchdog"
rm "$tree/etc/systemd/system/cordon.service.d/short.conf"; m systemctl daemon-reload; m systemctl restart cordon

# --- reload, stop
pid=$(show MainPID)
m systemctl reload cordon
does "SIGHUP: the settings are read anew" until_so said "reading /etc/cordon/cordon.conf anew"
cp -p "$tree/etc/cordon/conf.d/10-site.conf" "$work/site"
echo nonsense >>"$tree/etc/cordon/conf.d/10-site.conf"; m systemctl reload cordon
does "  bad ones are refused" until_so said "the old one is kept"
cp -p "$work/site" "$tree/etc/cordon/conf.d/10-site.conf"
is "$(show ActiveState) $(show MainPID)" "active $pid" "  and it goes on"
does "it stops when told" m systemctl stop cordon
is "$(show Result) $(show ExecMainStatus)" "success 0" "  cleanly"

# --- upgrade, with a ledger in place
m systemctl start cordon; pid=$(show MainPID)
agent cordon audit export >"$work/before" 2>"$work/said"
does "(there is a ledger)" test -s "$work/before"
does "it is upgraded while it runs" m dpkg -i "/root/$(basename "$newer")"
is "$(m dpkg-query -W -f '${Version}' cordon) $(show ActiveState)" "99.0-1 active" "  and runs again"
now=$(show MainPID); does "  as the new program" test "$now" != "$pid"
is "$(mode /etc/cordon/cordon.conf) $(m grep -c '^domains = corp.example.com' /etc/cordon/cordon.conf) $(m systemctl is-enabled cordon)" "root:cordon 640 1 enabled" "  settings are kept as they were"
does "  the ledger's chain is whole" agent cordon audit verify
agent cordon audit export >"$work/after" 2>"$work/said"
is "$(head -n "$(wc -l <"$work/before")" "$work/after" | sha256sum)" "$(sha256sum <"$work/before")" "  with all that stood in it, and more behind"
does "  ($(wc -l <"$work/before") records, then $(wc -l <"$work/after"))" test "$(wc -l <"$work/after")" -gt "$(wc -l <"$work/before")"
does "  and the request is still there" m grep -rqs "$id" /var/lib/cordon

# --- and it works, with all that was taken from it
uac() { lab attr "$LAB_DIR" alice userAccountControl 2>/dev/null | sed -n 's/^userAccountControl: //p'; }
lab join dc1; lab ready dc1
answered() { agent test -s "/var/lib/cordon/results/$id.jws"; }
does "the DC is back, and the request is carried out" until_so answered
is "$(uac)" 514 "  the account is disabled"
m cordon verify --key /root/agent.pub --json "/var/lib/cordon/results/$id.jws" >"$work/said" 2>&1
like "$(cut -d. -f2 "$tree/var/lib/cordon/results/$id.jws" | tr -- -_ +/ | base64 -d 2>/dev/null)" '"verdict":"done"' "  and the answer says so"
does "  healthy" m cordon status

# --- the keytab changes by itself: what installer/README.md says of a gMSA, with an ordinary account
new_keytab() { # a new password, and the keytab to it
    local password; password=$(openssl rand -hex 16)-A
    printf '%s\n%s\n' "$password" "$password" |
        lab exec -u admin samba-tool user setpassword svc-cordon -H ldap://dc1.corp.example.com --use-kerberos=required || return
    rm -f "$work/keytab"
    printf 'addent -password -p svc-cordon@CORP.EXAMPLE.COM -k 9 -e aes256-cts-hmac-sha1-96\n%s\nwkt %s\n' "$password" "$work/keytab" | ktutil
    m sh -c 'umask 077; mkdir -p /var/lib/gmsad; cat >/var/lib/gmsad/cordon.keytab' <"$work/keytab"
}
gmsa() {
    cd /usr/share/doc/cordon/examples/gmsa || exit
    install -D -m 644 keytab.conf /etc/systemd/system/cordon.service.d/keytab.conf
    install -m 644 cordon-keytab.path cordon-keytab.service /etc/systemd/system/
    sed -i 's/secret_keytab/keytab/' /etc/cordon/conf.d/10-site.conf
    systemctl daemon-reload && systemctl restart cordon && systemctl enable --now cordon-keytab.path
}
healthy() { m cordon status; }
does "a new password, and a keytab that another program writes" new_keytab
does "  is handed over" m bash -c "$(declare -f gmsa); gmsa"
does "  and used" until_so healthy
pid=$(show MainPID)
does "it is written anew" new_keytab
renewed() { [ "$(show MainPID)" != "$pid" ] && healthy; }
does "  and taken by itself" until_so renewed
m rm -r /var/lib/gmsad /etc/systemd/system/cordon-keytab.path /etc/systemd/system/cordon-keytab.service /etc/systemd/system/cordon.service.d \
    /etc/systemd/system/multi-user.target.wants/cordon-keytab.path

# --- remove, purge
uid=$(m id -u cordon); rm -r "$tree/opt/soar"
does "it is removed" m dpkg -r cordon
does_not "  nothing of it runs" m pgrep -u cordon
does_not "  the unit is gone" m systemctl cat cordon
does "  settings, credentials and ledger stay" m test -s /etc/cordon/cordon.conf -a -s /etc/cordon/credentials/agent.pem -a -s /var/lib/cordon/ledger.db
install "$release/cordon" "$tree/usr/local/bin/verify"
does "  and the chain is whole" agent /usr/local/bin/verify audit verify
does "it is purged" m dpkg -P cordon
is "$(m find / -xdev \( -uid "$uid" -o -name 'cordon*' \) -not -path '/proc/*' -not -path '/root/*' -not -path '/var/log/journal/*' 2>/dev/null)" "" "  and nothing of it is left"

echo "1..$n"
[ "$failed" = 0 ]
