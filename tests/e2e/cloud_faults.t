#!/usr/bin/env bash
# A tenant that stumbles, throttles and lies. One question each time: is the verdict true? AD's part must
# always be done; Entra's is called done only where it is so, and "failed" only where nothing was changed.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/cloud_lib.sh
. "$(dirname "$0")/cloud_lib.sh"
lab up --bulk 120 "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
# shellcheck disable=SC2119
cloud_up || { echo "Bail out! no stand-in"; exit 1; }
cloud_conf 's/^wait = 6s/wait = 3s/'
n=0
half() { steps | tr ' ' '\n' | sed -n "s#^$1/##p" | tr '\n' ' ' | sed 's/ $//'; }
# true_of FAULT WANTED-VERDICT(s, as a pattern) NAME
true_of() {
    n=$((n + 1)); user=$(printf 'u%05d' "$n"); no_faults
    [ -z "$1" ] || fault "$1"
    run disable "$user"
    local enabled seen
    seen=$(field verdict); enabled=$(entra "$user" accountEnabled)
    like "$seen $rc" "^($2)$" "$3"
    [ $(($(uac "$user") & 2)) = 2 ] || { not_ok "  AD's part is done"; return; }
    case $(half entra) in
    done/*) is "$enabled" false "  Entra's part is called done, and is" ;;
    failed/*) is "$enabled" true "  Entra's part is called failed, and nothing was changed" ;;
    *) ok "  Entra's part is not claimed: $(half entra), it is $enabled" ;;
    esac
}
P='"service":"graph","method":"PATCH"' R='"service":"graph","method":"POST","path":"revokeSignInSessions"'
U='"service":"graph","method":"GET","path":"/users[?]"' V='"service":"graph","method":"GET","path":"/users/[0-9a-f-]*[?]"'
done='done 0' partial='partial 11' unsure='unconfirmed 10|unknown 16'
# throttled
for after in 1 0.3 date:1; do true_of "{\"match\":{$P},\"do\":{\"status\":429,\"retryAfter\":\"$after\"}}" "$done" "429, Retry-After: $after"; done
true_of "{\"match\":{$P},\"do\":{\"status\":429}}" "$done" "429 without Retry-After"
true_of "{\"match\":{$P,\"times\":0},\"do\":{\"status\":429,\"retryAfter\":\"3600\"}}" "$partial" "429 for an hour: not waited for"
true_of "{\"match\":{$R},\"do\":{\"status\":503,\"retryAfter\":\"0.5\"}}" "$done" "503 at the revoke"
# who are we
true_of "{\"match\":{$P},\"do\":{\"status\":401}}" "$done" "401 once: a new token"
true_of "{\"match\":{$P},\"do\":{\"challenge\":true}}" "$done" "a claims challenge"
true_of "{\"match\":{$P,\"times\":0},\"do\":{\"status\":401}}" "$partial" "401 for ever"
# 403
for kind in permission privileged restricted onPrem; do true_of "{\"match\":{$P,\"times\":0},\"do\":{\"kind\":\"$kind\"}}" "$partial" "403 or 400: $kind"; done
# it stumbles
for s in 500 502 504; do
    true_of "{\"match\":{$P},\"do\":{\"status\":$s}}" "$done" "$s once, before acting"
    true_of "{\"match\":{$P},\"do\":{\"status\":$s,\"after\":true}}" "$done" "$s once, after acting"
done
true_of "{\"match\":{$P},\"do\":{\"delay\":1500}}" "$done" "slow"
for c in headers body stream; do
    true_of "{\"match\":{$P},\"do\":{\"cut\":\"$c\"}}" "$done|$unsure" "the PATCH's answer is cut: $c"
    true_of "{\"match\":{$R},\"do\":{\"cut\":\"$c\"}}" "$done|$unsure" "the revoke's answer is cut: $c"
    true_of "{\"match\":{$V},\"do\":{\"cut\":\"$c\"}}" "$done|$unsure" "the reading back is cut: $c"
done
# it lies, or talks nonsense
true_of "{\"match\":{$P},\"do\":{\"html\":true,\"status\":502}}" "$done" "HTML at 502"
true_of "{\"match\":{$U,\"times\":0},\"do\":{\"html\":true}}" "$partial" "HTML for the match: nobody is touched"
true_of "{\"match\":{$V,\"times\":0},\"do\":{\"html\":true}}" "$unsure" "HTML for the reading back: not proven"
true_of "{\"match\":{$V,\"times\":0},\"do\":{\"huge\":3000000}}" "$unsure" "a huge answer"
true_of "{\"match\":{$V,\"times\":0},\"do\":{\"deep\":2000}}" "$unsure" "a deep one"
true_of "{\"match\":{$V,\"times\":0},\"do\":{\"set\":{\"accountEnabled\":\"false\"}}}" "$unsure" "accountEnabled is a text"
true_of "{\"match\":{$V,\"times\":0},\"do\":{\"set\":{\"accountEnabled\":null}}}" "$unsure" "accountEnabled is null"
true_of "{\"match\":{$V,\"times\":0},\"do\":{\"remove\":[\"accountEnabled\"]}}" "$unsure" "accountEnabled is missing"
true_of "{\"match\":{$V,\"times\":0},\"do\":{\"duplicate\":{\"accountEnabled\":false}}}" "$unsure" "accountEnabled stands there twice"
true_of "{\"match\":{$V,\"times\":0},\"do\":{\"set\":{\"id\":\"00000000-0000-0000-0000-000000000000\"}}}" "$unsure" "the answer is about another user"
true_of "{\"match\":{$P,\"times\":0},\"do\":{\"stick\":false}}" "unconfirmed 10" "an accepted PATCH that does not stick"
true_of "{\"match\":{$R,\"times\":0},\"do\":{\"value\":false}}" "$unsure" "the revoke says false"
true_of "{\"match\":{$R,\"times\":0},\"do\":{\"stick\":false}}" "unconfirmed 10" "an accepted revoke that moves nothing"
true_of "{\"match\":{$P},\"do\":{\"staleReads\":2}}" "$done" "eventual consistency: the old state for two reads"
true_of "{\"match\":{$U,\"times\":0},\"do\":{\"set\":{\"value\":[]}}}" "$partial" "the match finds nobody, but the name: not called an account of AD alone"
true_of "{\"match\":{\"service\":\"graph\",\"path\":\"transitiveMemberOf\",\"times\":0},\"do\":{\"nextLink\":\"https://evil.example/v1.0/users\"}}" "$partial" "a nextLink to another host: not followed, and nobody judged by half an answer"
is "$(order GET requests | grep -c evil.example)" 0 "  no request went there"
true_of "{\"match\":{\"service\":\"graph\",\"path\":\"transitiveMemberOf\",\"times\":0},\"do\":{\"status\":500}}" "$partial" "the guard's question is not answered: not touched"
true_of "{\"match\":{\"service\":\"login\",\"times\":0},\"do\":{\"html\":true}}" "$done|$partial" "HTML at the login"
true_of "{\"match\":{$U,\"times\":0},\"do\":{\"status\":404,\"code\":\"\"}}" "$partial" "404 to a search: no word about users"
true_of "{\"match\":{$U,\"times\":0},\"do\":{\"status\":404,\"code\":\"Request_ResourceNotFound\"}}" "$partial" "404 with the code of a missing object, to a search"
# many at once
no_faults; order DELETE requests >/dev/null
fault '{"match":{"service":"graph","path":"batch","times":1},"do":{"throttleParts":0.3,"partRetryAfter":"1"}}'
fault '{"match":{"service":"graph","path":"batch","nth":3,"times":1},"do":{"dropParts":0.2}}'
printf 'u%05d\n' $(seq 80 110) >"$work/many"
run disable --from "$work/many"
bad=0; while read -r u; do [ "$(entra "$u" accountEnabled)" = false ] || bad=$((bad + 1)); done <"$work/many"
wrong=$(/usr/bin/python3 - "$work/out" <<'P'
import json, sys
v = [json.loads(l) for l in open(sys.argv[1]) if l.startswith('{')]
v = [x for x in v if x['type'] == 'verdict']
print(len(v), sum(1 for x in v if x['verdict'] == 'done' and x.get('entra', {}).get('enabled') is not False))
P
)
is "$wrong" "31 0" "31 at once, in batches with throttled and missing parts: none is called done that is not"
like "$rc $bad" "^(0 0|1[016] [0-9]+)$" "  and the exit code says whether all are"
is "$(violations)" "[]" "every request was as the description says"
done_testing
