#!/usr/bin/env bash
# What `cordon run` gives up at its start (base/sandbox.h), looked at from outside and tried from inside: tests/e2e/inject.py makes
# the running service do what somebody would who took it over. With CORDON=build/release/cordon it tries what is
# shipped, whose filter lets nothing through for sanitizers; a kernel without Landlock is played in builds with failpoints (dev).
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
lab up "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
spool=$LAB_DIR/spool results=$LAB_DIR/results outside=$work/outside
mkdir -m 700 "$outside"
for k in soar agent other; do "$cordon" key new --out "$LAB_DIR/$k.pem" >"$LAB_DIR/$k.pub" || exit 1; done
chmod 644 "$LAB_DIR"/*.pub; cp -p "$LAB_DIR/soar.pub" "$LAB_DIR/agent.pem" "$outside"
cp -p "$conf" "$LAB_DIR/plain.conf"
queue="directory = $spool
result_directory = $results"
settings() { # [SIGNER'S KEY [LINE OF [service]...]]
    { cat "$LAB_DIR/plain.conf"; cat <<C; } >"$work/new.conf"

[policy]
brake = 1000 per 10m
brake_ou = 1000 per 10m
brake_percent = 0
[signer/soar]
key = ${1:-$LAB_DIR/soar.pub}
actions = disable, enable
[queue]
$queue
signing_key = $LAB_DIR/agent.pem
agent = one
[service]
stop_timeout = 6s
$(printf '%s\n' "${@:2}")
C
    chmod 600 "$work/new.conf"; mv "$work/new.conf" "$conf" # by rename, as editors do
}
export CORDON_CONFIG=$conf
# shellcheck disable=SC2086 # several words, or none
cordon() { lab exec "$LAB_DIR" env "CORDON_CONFIG=$conf" ${extra_env:-} "$cordon" "$@"; }
submit() { cordon submit --key "$LAB_DIR/soar.pem" --requester soc@example.com "$@"; }
start() {
    : >"$work/run"; rm -f "$LAB_DIR/state/control.sock" # of one that was killed
# shellcheck disable=SC2086 # several words, or none
    "$here/tests/lab/lab" exec "$LAB_DIR" env "CORDON_CONFIG=$conf" ${extra_env:-} "$cordon" run --allow-root >>"$work/run" 2>&1 &
    pid=$!
    for _ in $(seq 200); do [ -S "$LAB_DIR/state/control.sock" ] && return; kill -0 "$pid" 2>/dev/null || return; sleep 0.1; done
}
stop() { kill -TERM "$pid"; wait "$pid"; local rc=$?; cat "$work/run" >>"$work/runs"; return $rc; }
until_so() { for _ in $(seq 200); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; return 1; }
proc() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$pid/status"; }
status() { cordon status --json | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin).get(sys.argv[1]))' "$1"; }
disabled() { submit disable "$1" --wait=40s >"$work/out" 2>"$work/err"; echo "$? $(uac "$1")"; }
inject() { /usr/bin/python3 "$here/tests/e2e/inject.py" "$pid" "$@" 2>"$work/err"; }
started() { status started; }

# --- what the kernel says
landlock=$(/usr/bin/python3 -c 'import ctypes; print(ctypes.CDLL(None).syscall(444, None, 0, 1))')
settings; start
is "$(proc Seccomp) $(proc NoNewPrivs)" "2 1" "the service runs under a filter, and can get no privileges"
is "$(proc CapPrm) $(proc CapEff) $(proc CapInh) $(proc CapAmb) $(proc CapBnd)" "$(printf '%s ' 000000000000000{0,0,0,0,0} | sed 's/ $//')" "  it has no capability, not even as root"
is "$(for t in /proc/"$pid"/task/*; do sed -n 's/^Seccomp:[[:space:]]*//p' "$t/status"; done | sort -u)" 2 "  nor do its other threads run without"
if [ "$landlock" -ge 2 ]; then
    like "$(status sandbox)" "^files by Landlock \(ABI [0-9]+\), system calls filtered" "status tells of it"
else
    like "$(status sandbox)" "system calls filtered.*no Landlock" "status says that this kernel has no Landlock"
fi
is "$(disabled alice)" "0 514" "a request is carried out: Kerberos, LDAP, ledger, spool, answer"

# --- tried from inside
denied=EACCES; [ "$landlock" -ge 2 ] || denied=skip
tried() { # WANTED NAME CALL ARG...
    local want=$1 name=$2 got; shift 2
    if [ "$want" = skip ]; then ok "$name # SKIP this kernel has no Landlock"; return; fi
    got=$(inject "$@")
    case $? in
    77) ok "$name # SKIP inject.py knows x86_64 only" ;;
    0) is "$got" "$want" "$name" ;;
    *) not_ok "$name" "$(cat "$work/err")" ;;
    esac
}
tried "$pid" "(inject.py can make it do something)" getpid
: >"$outside/file"
tried "$denied" "it cannot read what the configuration does not name" openat -100 "$outside/file" 0
tried "$denied" "  nor list it" openat -100 "$outside" 0x10000
tried "$denied" "  nor write to it" openat -100 "$outside/file" 1
tried "$denied" "  nor make a file there" openat -100 "$outside/new" 0x41 0600
tried "$denied" "  nor in /tmp" openat -100 "/tmp/cordon-was-here-$$" 0x41 0600
tried "$denied" "  nor change what it may read" openat -100 "$conf" 2
tried "$denied" "  nor make a folder" mkdirat -100 "$outside/d" 0700
tried EPERM "no memory that is writable and executable" mprotect 0 4096 6
tried EPERM "no io_uring" io_uring_setup 8 0
tried EPERM "no keyrings" keyctl 0 -3
tried ENOSYS "no raw packets" socket 17 3 0
is "$(kill -0 "$pid" && disabled bob)" "0 514" "  and it works on, whatever was tried"
for what in "execve /bin/true" "mount none /mnt tmpfs" "bpf 0" "unshare 0x10000000"; do
    # shellcheck disable=SC2086 # several words
    tried SIGSYS "the service dies of ${what%% *}" $what
    if ! kill -0 "$pid" 2>/dev/null; then { wait "$pid"; } 2>/dev/null; start; fi
done
is "$(disabled carol)" "0 514" "(started again, it works)"

# --- SIGHUP
before=$(started)
reload() { : >"$work/run"; kill -HUP "$pid"; }
if [ "$landlock" -ge 2 ]; then
    settings "$outside/soar.pub"; reload
    until_so grep -q "old one is kept.*\[signer/soar\] key.*outside.*restart" "$work/run"; is "$?" 0 "SIGHUP with a key outside: refused, and the line says to restart"
    queue="directory = $outside/spool
result_directory = $results" settings; reload
    until_so grep -q "old one is kept.*\[queue\] directory.*outside.*restart" "$work/run"; is "$?" 0 "  so is a queue outside"
else
    for i in "SIGHUP with a key outside" "  a queue outside"; do ok "$i # SKIP this kernel has no Landlock"; done
fi
settings "$LAB_DIR/soar.pub" "sandbox = no"; reload
until_so grep -q "old one is kept.*sandbox does not change" "$work/run"; is "$?" 0 "  and one that would do without"
is "$(disabled dave) $(started)" "0 514 $before" "  the old one goes on"
cp -p "$LAB_DIR/soar.pub" "$LAB_DIR/new.pub"; settings "$LAB_DIR/new.pub"; reload
changed() { [ "$(started)" != "$before" ]; }
until_so changed; is "$(disabled erin)" "0 514" "one that names a new file in a folder of the old one is taken: new tickets, new connections"
cp -p "$LAB_DIR/other.pub" "$LAB_DIR/x"; mv "$LAB_DIR/x" "$LAB_DIR/new.pub"
before=$(started); reload; until_so changed
cordon submit --key "$LAB_DIR/other.pem" --requester soc@example.com disable frank --wait=40s >"$work/out" 2>"$work/err"
is "$? $(uac frank)" "0 514" "a key that was exchanged by rename is read"
lab kill dc1 "$LAB_DIR" >/dev/null 2>&1; sleep 1; lab start dc1 "$LAB_DIR" >/dev/null 2>&1; lab ready dc1 "$LAB_DIR" >/dev/null 2>&1
is "$(cordon submit --key "$LAB_DIR/other.pem" --requester soc@example.com disable grace --wait=60s >"$work/out" 2>"$work/err"; echo "$? $(uac grace)")" "0 514" "a DC that was away is bound to again"
stop; is $? 0 "SIGTERM ends it well"

# --- a kernel without
settings "" "sandbox = required"; start
kill -0 "$pid" 2>/dev/null && started >/dev/null
if [ "$landlock" -ge 2 ]; then is "$(kill -0 "$pid" && status state)" running "sandbox = required: it runs, where the kernel can"; stop
else wait "$pid"; is "$?" 78 "sandbox = required: it does not run under this kernel"; fi
if grep -q CORDON_FAILPOINT "$cordon"; then # a kernel without is played
    for what in landlock seccomp; do
        extra_env="CORDON_FAILPOINT=$what:1:fail" start; wait "$pid"
        is "$? $(grep -c 'sandbox = required, and it is not whole' "$work/run")" "78 1" "  and does not without $what, and says so"
    done
    settings
    extra_env="CORDON_FAILPOINT=landlock:1:fail" start
    like "$(grep -c 'not whole, going on with less' "$work/run") $(proc Seccomp) $(status sandbox)" "^1 2 system calls filtered.*no Landlock: this kernel has none" "sandbox = yes: it runs without Landlock, and log and status say so"
    settings "$outside/soar.pub"; before=$(started); reload; until_so changed
    is "$(disabled heidi)" "0 514" "  where SIGHUP may name any file"
    stop
else
    for i in "without Landlock" "without a filter" "sandbox = yes" "SIGHUP"; do ok "$i # SKIP this build has no failpoints"; done
fi
settings "" "sandbox = no"; start
is "$(proc Seccomp) $(status sandbox)" "0 off: [service] sandbox = no" "sandbox = no: as it says"
stop

# --- the queue by TLS
"$here/tests/azurite/azurite" >/dev/null 2>&1 || true # gets its packages the first time: the lab has no way out
mkdir "$work/azurite"
lab exec "$LAB_DIR" "$here/tests/azurite/azurite" serve --dir "$work/azurite" >"$work/azurite.log" 2>&1 &
for _ in $(seq 600); do [ -e "$work/azurite/ready" ] && break; sleep 0.1; done
set -a
# shellcheck disable=SC1091
. "$work/azurite/env"
set +a
for q in requests requests-poison results; do echo "create $q $AZURITE_KEY"; done | lab exec "$LAB_DIR" "$here/build/dev/queue_probe" >"$work/out" 2>"$work/err"
is "$(grep -c '^201' "$work/out")" 3 "(Azurite, by https)"
queue="engine = azure
url = $AZURITE_URL
account = $AZURITE_ACCOUNT
queue = requests
result_queue = results
key_file = $AZURITE_KEY"
settings "" "[http]" "ca_file = $AZURITE_CA"; start
is "$(disabled dave)" "0 514" "a queue by TLS: taken and answered"
like "$(status queue) $(proc Seccomp)" "^azure:https.* 2$" "  by https, from inside"
stop
cat "$work"/runs "$work"/run | grep -E -A 12 'Sanitizer|runtime error|cordon: bug' >"$work/out"; : >"$work/err"
is "$(grep -c . "$work/out")" 0 "the sanitizers have nothing to say"
done_testing
