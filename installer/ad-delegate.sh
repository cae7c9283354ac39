#!/usr/bin/env bash
# ad-delegate.sh -- give cordon's account the least rights that it needs, on one OU. See --help.
#
# The same on Windows. In a command prompt (dsacls merges with what is there):
#
#   dsacls "OU=People,DC=corp,DC=example,DC=com" /I:S ^
#     /G "CORP\svc-cordon:RPWP;userAccountControl;user" ^
#        "CORP\svc-cordon:RPWP;pwdLastSet;user" ^
#        "CORP\svc-cordon:CA;Reset Password;user" ^
#        "CORP\svc-cordon:GR;;user"
#   (and once more with inetOrgPerson in place of user; lockoutTime only if unlocking is wanted)
#
# In PowerShell, with the ActiveDirectory module:
#
#   $ou = 'AD:OU=People,DC=corp,DC=example,DC=com'; $who = (Get-ADUser svc-cordon).SID
#   $acl = Get-Acl $ou
#   foreach ($class in 'bf967aba-0de6-11d0-a285-00aa003049e2', '4828cc14-1437-45bc-9b07-ad6f015e5f28') {
#     foreach ($r in @('ReadProperty,WriteProperty', 'bf967a68-0de6-11d0-a285-00aa003049e2'),
#                    @('ReadProperty,WriteProperty', 'bf967a0a-0de6-11d0-a285-00aa003049e2'),
#                    @('ExtendedRight', '00299570-246d-11d0-a768-00aa006e0529'),
#                    @('GenericRead', '00000000-0000-0000-0000-000000000000')) {
#       $acl.AddAccessRule((New-Object DirectoryServices.ActiveDirectoryAccessRule `
#         $who, $r[0], 'Allow', ([guid]$r[1]), 'Descendents', ([guid]$class)))
#     } }
#   Set-Acl $ou $acl
#
# These two were written from Microsoft's documents and have not been run by us. `--print` shows the
# access control entries in SDDL, to compare with what stands on the OU afterwards.
set -euo pipefail

USER=bf967aba-0de6-11d0-a285-00aa003049e2          # class user
INETORGPERSON=4828cc14-1437-45bc-9b07-ad6f015e5f28 # class inetOrgPerson
UAC=bf967a68-0de6-11d0-a285-00aa003049e2           # userAccountControl
PWDLASTSET=bf967a0a-0de6-11d0-a285-00aa003049e2
LOCKOUTTIME=28630ebf-41d5-11d1-a9c1-0000f80367c1
RESET=00299570-246d-11d0-a768-00aa006e0529         # the right "Reset Password"

usage() {
    cat <<'USAGE'
usage: ad-delegate.sh [options] OU ACCOUNT [-- OPTION-OF-SAMBA-TOOL...]

Grants ACCOUNT on all users below OU: to read them, to write userAccountControl and pwdLastSet, and
to reset the password. Nothing else, and nothing outside OU. Doing it twice changes nothing.
Protected administrators keep their own access control list and are not reached.

  OU               distinguishedName, OU=People,DC=corp,DC=example,DC=com
  ACCOUNT          sAMAccountName of a user, or a SID (of a gMSA or a group)
  -H, --url URL    the DC: ldap://dc1.corp.example.com
  --unlock         also lockoutTime, to unlock accounts
  --no-disable     not userAccountControl    --no-expire     not pwdLastSet
  --no-reset       not the password reset
  --print          only print the entries (SDDL), change nothing
  -h, --help

Needs samba-tool, and a person who may change the OU's permissions:
  kinit Administrator
  ad-delegate.sh -H ldap://dc1.corp.example.com OU=People,DC=corp,DC=example,DC=com svc-cordon \
      -- --use-kerberos=required
USAGE
}
die() { echo "ad-delegate.sh: $*" >&2; exit "${2:-1}"; }

url='' unlock=no disable=yes expire=yes reset=yes print=no args=()
while [ $# -gt 0 ]; do
    case $1 in
    -H | --url) [ $# -gt 1 ] || { usage >&2; exit 64; }; url=$2; shift ;;
    --unlock) unlock=yes ;;
    --no-disable) disable=no ;;
    --no-expire) expire=no ;;
    --no-reset) reset=no ;;
    --print) print=yes ;;
    -h | --help) usage; exit 0 ;;
    --) shift; break ;;
    -*) echo "ad-delegate.sh: no option $1" >&2; usage >&2; exit 64 ;;
    *) args+=("$1") ;;
    esac
    shift
done
[ ${#args[@]} = 2 ] || { usage >&2; exit 64; }
ou=${args[0]} account=${args[1]} samba=("$@")
[ -z "$url" ] || samba+=(-H "$url")

if [[ $account =~ ^S-1-[0-9]+(-[0-9]+)+$ ]]; then
    sid=$account
else
    sid=$(samba-tool user show "$account" --attributes=objectSid "${samba[@]}" |
        sed -n 's/^objectSid: //p') || die "cannot look up $account"
    [ -n "$sid" ] || die "no SID of $account"
fi

entries=()
for class in "$USER" "$INETORGPERSON"; do
    [ $disable = no ] || entries+=("(OA;CIIO;RPWP;$UAC;$class;$sid)")
    [ $expire = no ] || entries+=("(OA;CIIO;RPWP;$PWDLASTSET;$class;$sid)")
    [ $reset = no ] || entries+=("(OA;CIIO;CR;$RESET;$class;$sid)")
    [ $unlock = no ] || entries+=("(OA;CIIO;RPWP;$LOCKOUTTIME;$class;$sid)")
    entries+=("(OA;CIIO;RPLCLORC;;$class;$sid)")
done
if [ $print = yes ]; then
    printf '%s\n' "${entries[@]}"
    exit 0
fi

there() { samba-tool dsacl get --objectdn="$ou" "${samba[@]}"; }
before=$(there) || die "the permissions of $ou cannot be read"
missing=''
for e in "${entries[@]}"; do
    [[ $before == *"$e"* ]] || missing+=$e
done
if [ -z "$missing" ]; then
    echo "already so: $account on $ou"
    exit 0
fi
# samba-tool puts new entries in front. Denials of the OU itself must stay in front of them.
if grep -oE '\([^)]*\)' <<<"$before" | grep -E '^\((D|OD);' | grep -qvE '^\([^;]*;[^;]*ID'; then
    die "$ou has denials of its own; samba-tool would put ours in front of them: use dsacls or \
PowerShell (see the head of this file), with the entries of --print"
fi
samba-tool dsacl set --objectdn="$ou" --trusteedn="<SID=$sid>" --sddl="$missing" "${samba[@]}" \
    >/dev/null || die "the permissions of $ou cannot be changed"

after=$(there) || die "the permissions of $ou cannot be read again"
for e in "${entries[@]}"; do
    [[ $after == *"$e"* ]] || die "not there afterwards: $e"
done
echo "granted: $account ($sid) on $ou"
