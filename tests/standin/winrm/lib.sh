# tests/standin/winrm/lib.sh -- a stand-in WinRM on the lab's DCs. The sourcing script has $here (the
# repository), $work and lab().
# shellcheck shell=bash disable=SC2154
winrm_bin=$here/tests/standin/winrm
# winrm_up dc1|dc2 [OPTION...]: plays that DC's WinRM on its own address, ports 5985 and 5986, with
# its Kerberos key, its certificate (the lab's ca.pem) and what Samba's audit log says as events.
# $work/winrm.DC/ is its DIR. It ends with the lab.
winrm_up() {
    local dc=$1 dir=$work/winrm.$1 tls=$LAB_DIR/$1/private/tls other others=()
    shift
    for other in "$LAB_DIR"/dc[12]/log/audit.json; do
        [ "$other" = "$LAB_DIR/$dc/log/audit.json" ] || others+=(--other-log "$other")
    done
    mkdir -p "$dir"; rm -f "$dir/ready"
    lab exec "$LAB_DIR" /usr/bin/samba-tool domain exportkeytab "$dir/keytab" \
        --principal="HTTP/$dc.corp.example.com" -s "$LAB_DIR/$dc/etc/smb.conf" >/dev/null 2>"$dir/log" || { cat "$dir/log"; return 1; }
    lab exec "$LAB_DIR" -n "$dc" "$winrm_bin/serve" --dir "$dir" --host "$dc.corp.example.com" --addr "10.77.0.1${dc#dc}" \
        --keytab "$dir/keytab" --cert "$tls/cert.pem" --key "$tls/key.pem" --ca "$LAB_DIR/ca.pem" \
        --samba-log "$LAB_DIR/$dc/log/audit.json" "${others[@]}" "$@" >"$dir/log" 2>&1 &
    for _ in $(seq 100); do [ -e "$dir/ready" ] && return; sleep 0.05; done
    cat "$dir/log"
    return 1
}
winrm() { # dc1|dc2 JSON: an order to it
    "$winrm_bin/order" "$work/winrm.$1" "$2"
}
