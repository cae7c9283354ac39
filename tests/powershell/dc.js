// dc.js -- installer/defender/cordon-dc.ps1, which can't be run here: what its tree says, and its
// patterns tried on the vectors that the agent's own test reads. TAP. dc.js [SCRIPT]
'use strict';
const fs = require('fs');
const path = require('path');
const { load, within, above, text } = require('./tree.js');
const { constants, pattern, format } = require('./wire.js');

const root = path.join(__dirname, '..', '..');
const read = (f) => fs.readFileSync(path.join(root, f), 'latin1');
let n = 0;
let failed = 0;
function ok(good, name, ...why) {
    n++;
    if (!good) failed++;
    console.log(`${good ? 'ok' : 'not ok'} ${n} - ${name}`);
    if (!good) for (const w of why.flat().slice(0, 12)) console.log(`# ${w}`);
}
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const set = (a) => [...new Set(a)].sort();
function alike(a, b, name) {
    ok(same(a, b), name, `script: ${JSON.stringify(a)}`, `agent:  ${JSON.stringify(b)}`);
}

// --- the agent's, from its source -------------------------------------------------------------
const header = read('agent/dc_payload.h');
const source = read('agent/dc_payload.c');
const defined = (name) => {
    const m = new RegExp(`#define ${name} (?:"([^"]*)"|(\\d+))`).exec(header);
    return m[1] !== undefined ? m[1] : Number(m[2]);
};
const table = (name, from = source) => new RegExp(`${name}\\[\\] = \\{([\\s\\S]*?)\\n\\};`).exec(from)[1];
const strings = (s) => [...s.matchAll(/"([^"]*)"/g)].map((m) => m[1]);
const numbers = (s) => [...s.matchAll(/\{(\d+), "/g)].map((m) => Number(m[1]));
const uac = (name) => {
    const m = new RegExp(`#define AD_UAC_${name} UINT32_C\\((0x[0-9a-f]+)\\)`, 'i').exec(read('ldap/uac.h'));
    return Number(m[1]);
};
const bitsOf = (name) => {
    const m = new RegExp(`#define AD_UAC_${name}[ \\\\\\n]*\\(([^)]*)\\)`).exec(read('ldap/uac.h'));
    return [...m[1].matchAll(/AD_UAC_(\w+)/g)].reduce((a, b) => a + uac(b[1]), 0);
};

function wire(c) {
    const argument = /^\\A(\w+)\[A-Za-z0-9_-\]\{(\d+),(\d+)\}\\z$/.exec(c.ArgumentPattern);
    alike((argument || []).slice(1), [defined('DC_ARGUMENT_PREFIX'), `${defined('DC_PAYLOAD_MIN')}`, `${defined('DC_PAYLOAD_MAX')}`],
        'prefix, alphabet and lengths of the argument');
    alike(c.MaxAheadMs, defined('DC_AHEAD_MS'), 'how far ahead an order may end');
    alike(c.Version, defined('DC_SCRIPT_VERSION'), 'the version of the script');
    alike(/\(\?<op>([^)]*)\)/.exec(c.OrderPattern)[1].split('|'), strings(table('ops')), 'the operations');
    ok(c.OrderPattern.includes(`(?<nonce>[0-9a-f]{${defined('DC_NONCE') - 1}})`), 'the length of a nonce');
    const built = /"(\{\\"v\\":1[\s\S]*?)",\s+ops\[/.exec(source)[1].replace(/"\s+(PRId64\s+)?"/g, '').replace(/\\"/g, '"');
    const members = (s) => [...s.matchAll(/[{,]"(\w+)":/g)].map((m) => m[1]);
    alike(members(c.OrderPattern), members(built), 'the members of an order, in their order');
    alike(members(c.MarkerFormat), strings(table('members')), 'the members of an answer, in their order');
    ok(c.MarkerFormat.startsWith(`${defined('DC_MARKER_PREFIX')}{0} {{`), 'how an answer begins');
    alike(members(c.EventFormat), ['id', 'record'], 'the members of an event');
    const holes = [...c.MarkerFormat.matchAll(/\{(\d+)\}/g)].map((m) => Number(m[1]));
    alike(holes, holes.map((_, i) => i), 'the answer has each value once');
}

function directory(c) {
    const protect = read('ldap/protect.c');
    alike(c.PrivilegedRids, numbers(table('privileged_domain_rids', protect)), 'the privileged RIDs, as the agent\'s guard has them');
    alike(c.PrivilegedBuiltin, numbers(table('privileged_builtin_rids', protect)), '... and of the builtin groups');
    alike([c.Disabled, c.NeverExpires, c.SmartCardOnly],
        ['ACCOUNTDISABLE', 'DONT_EXPIRE_PASSWORD', 'SMARTCARD_REQUIRED'].map(uac), 'the bits of userAccountControl');
    alike(c.ComputedBits, bitsOf('NEVER_WRITE'), 'the bits that are never sent');
    alike(c.TypeBits, bitsOf('TYPE_BITS') - uac('NORMAL_ACCOUNT') + uac('PARTIAL_SECRETS_ACCOUNT'), 'the bits that no user has');
    const ldap = { PROTOCOL_ERROR: 2, STRONG_AUTH_REQUIRED: 8, REFERRAL: 10, ADMINLIMIT_EXCEEDED: 11,
        UNAVAILABLE_CRITICAL_EXTENSION: 12, CONFIDENTIALITY_REQUIRED: 13, NO_SUCH_ATTRIBUTE: 16, UNDEFINED_TYPE: 17,
        INAPPROPRIATE_MATCHING: 18, CONSTRAINT_VIOLATION: 19, TYPE_OR_VALUE_EXISTS: 20, INVALID_SYNTAX: 21,
        NO_SUCH_OBJECT: 32, INVALID_DN_SYNTAX: 34, INVALID_CREDENTIALS: 49, INSUFFICIENT_ACCESS: 50, BUSY: 51,
        UNAVAILABLE: 52, UNWILLING_TO_PERFORM: 53, OBJECT_CLASS_VIOLATION: 65 };
    const clear = [...read('ldap/result.c').matchAll(/\{LDAP_(\w+), ERR_\w+, (ERR_\w+)\}/g)]
        .filter((m) => m[2] !== 'ERR_UNPROVEN').map((m) => ldap[m[1]] || m[1]);
    alike(c.ClearNo, clear, 'the answers of a DC that are a clear no');
    const names = pattern(c.KdcPattern.replace('.*', '[A-Za-z0-9_-]*'));
    ok(['krbtgt', 'krbtgt_2108', 'krbtgt_AzureAD'].every((s) => names.test(s)) && !names.test('krbtgtx'), 'the accounts of the KDC');
    const system = new RegExp(c.SystemPattern.replace('\\A', '^').replace(/\\z/g, '$'), 'i');
    const theirs = ['MSOL_1a2b', 'AAD_1a2b', 'ADSyncMSA1$', 'provAgentgMSA$', 'pGMSA_1$', 'HealthMailbox0a1b2c3', 'SM_0123456789abcdef0',
        'SystemMailbox{1f05a927-', 'DiscoverySearchMailbox{D919', 'FederatedEmail.4c1f4d8b-8179', 'Migration.8f3e7716-2011'];
    ok(theirs.every((s) => system.test(s)) && !['migration.lead', 'sm_ith', 'alice', 'healthmailboxer'].some((s) => system.test(s)),
        'the accounts of systems');
}

// --- the vectors -------------------------------------------------------------------------------
function vectors(c) {
    const v = JSON.parse(fs.readFileSync(path.join(root, 'tests/data/defender/vectors.json'), 'utf8'));
    const argument = pattern(c.ArgumentPattern);
    const order = pattern(c.OrderPattern);
    const decode = (a) => {
        const bytes = Buffer.from(a.slice(3), 'base64url');
        return bytes.toString('base64url') === a.slice(3) ? bytes.toString('latin1') : null;
    };
    const asked = (o) => ({ op: o.op, sid: o.sid, guid: o.guid, domain: o.domain, expires: `${o.expires}`, nonce: o.nonce,
        case: o.case, clear: `${o.clear_never_expires}`, must: `${o.must_change}` });
    let wrong = v.orders.filter((x) => {
        const a = `c1_${x.payload}`;
        const m = order.exec(decode(a) || '');
        return !argument.test(a) || decode(a) !== x.json || !m || !same({ ...m.groups }, asked(x.order));
    });
    ok(wrong.length === 0 && v.orders.length >= 13, `orders (${v.orders.length}) are taken, and mean the same`, wrong.map((x) => x.name));

    const refusal = (x) => {
        const a = x.argument !== undefined ? x.argument : `c1_${Buffer.from(x.json, 'utf8').toString('base64url')}`;
        if (!argument.test(a)) return 'argument';
        if (decode(a) === null) return 'base64';
        return order.test(decode(a)) ? 'rule' : 'pattern';
    };
    // A text that is past the limits of length never gets to the pattern.
    wrong = v.not_orders.filter((x) => refusal(x) !== x.by || (x.json !== undefined && x.by === 'pattern' && order.test(x.json)));
    ok(wrong.length === 0 && v.not_orders.length >= 110, `what is no order (${v.not_orders.length}) is refused, each for its reason`,
        wrong.map((x) => `${x.name}: by ${refusal(x)}`));

    // One byte more, or another one, anywhere. Whatever is still an order holds nothing that PowerShell,
    // LDAP or a file system would read as more than letters and digits.
    const hostile = [...Array(256).keys()].filter((b) => !/[A-Za-z0-9]/.test(String.fromCharCode(b))).map((b) => String.fromCharCode(b));
    const tricks = ['$(calc)', '`n', "'", '"', ';calc', '|calc', '&calc', '#', '<#', '@(', '\r\n', '\u2028', '*)(objectClass=*',
        '>,<SID=S-1-5-21-1-2-3-500', '\\..\\', '%00', '\u0130', '\uff07', '\u201d'];
    const bad = [];
    let tried = 0;
    for (const { json } of v.orders) {
        for (let i = 0; i <= json.length; i++) {
            for (const h of [...hostile, ...tricks]) {
                for (const t of [json.slice(0, i) + h + json.slice(i), json.slice(0, i) + h + json.slice(i + 1)]) {
                    tried++;
                    if (t === json || !order.test(t)) continue;
                    const held = Object.values(order.exec(t).groups).join('');
                    if (!/^[A-Za-z0-9._-]*$/.test(held) || /[._-]/.test(h) === false) bad.push(t);
                }
            }
        }
    }
    ok(bad.length === 0, `${tried} orders with something hostile in them are none`, bad);
    const args = [];
    const good = `c1_${v.orders[0].payload}`;
    for (let i = 0; i <= good.length; i++) for (const h of [...hostile, ...tricks]) args.push(good.slice(0, i) + h + good.slice(i));
    const taken = args.filter((a) => argument.test(a) && !/^[\w-]*$/.test(a));
    ok(taken.length === 0, `${args.length} arguments with something hostile in them are none`, taken);

    wrong = v.markers.filter((x) => format(c.MarkerFormat, x.parts) !== x.line ||
        x.parts[13] !== x.said.events.map((e) => format(c.EventFormat, [e.id, e.record])).join(','));
    ok(wrong.length === 0 && v.markers.length >= 26, `answers (${v.markers.length}), made by the script's own format`,
        wrong.map((x) => format(c.MarkerFormat, x.parts)));
    wrong = v.markers.filter((x) => {
        const m = /^CORDON1 ([0-9a-f]{16}) (\{.*\})$/.exec(x.line);
        return !m || !/^[\x20-\x7e]*$/.test(x.line) || !same(JSON.parse(m[2]), x.said);
    });
    ok(wrong.length === 0, 'each is one line of ASCII, and JSON', wrong.map((x) => x.name));
}

// --- what the tree says ----------------------------------------------------------------------------
function shape(tree, script, c) {
    const uses = (name, where = tree) => within(where, 'variable').filter((x) => x.text.toLowerCase() === `$${name}`);
    const commands = within(tree, 'command');
    const named = (name) => commands.filter((x) => text(x.name).toLowerCase() === name.toLowerCase());
    const fn = (name) => within(tree, 'function_statement').find((f) => text(within(f, 'function_name')[0]) === name);
    const assigned = (re) => within(tree, 'assignment_expression').filter((a) => re.test(a.text));

    ok(script.split('\n').length <= 400, 'it can be read in one sitting: 400 lines');
    alike(named('Write-Output').map((x) => above(x, 'function_statement') === null && above(x, 'statement_block') === null),
        [true], 'one line is written, at the end, once');
    ok(script.trimEnd().split('\n').slice(-3)[0].startsWith('Write-Output ($MarkerFormat -f $said.nonce,'), 'it is the last thing done');
    const loud = /^(Write-(Host|Error|Warning|Verbose|Information|Debug|Progress)|Out-.*|Tee-.*|echo)$/i;
    alike(commands.filter((x) => loud.test(text(x.name))).map((x) => x.text), [], 'nothing else is said');
    // A value that nobody takes would become a line of output.
    const program = tree.children.filter((x) => x.type === 'statement_list').flatMap((x) => x.children).filter((x) => x.isNamed);
    const statements = program.filter((x) => !['comment', 'function_statement', 'try_statement', 'foreach_statement'].includes(x.type))
        .filter((x) => within(x, 'assignment_expression').length === 0);
    alike(statements.map((x) => x.text.split(' ')[0]), ['Write-Output'], 'no other value is left over');
    // Without regard to case a Kelvin sign would be a "k": so with.
    ok(/^    \$words\[\$key\] = "\$\(\$said\[\$key\]\)" -creplace '\[\^A-Za-z0-9 \._-\]', '\?'$/m.test(script) &&
        same([...c.MarkerFormat.matchAll(/"\{(\d+)\}"/g)].length, 11), 'each word in it has its alphabet made sure of');
    ok(/^try \{ \$null = Invoke-Order \$Payload \$said \}$/m.test(script), '... nor by the order itself');

    // The argument goes to one place, and from there on it is an order of checked types.
    alike(uses('payload').map((x) => text(above(x, 'command')).slice(0, 20)), ['', 'Invoke-Order $Payload'.slice(0, 20)], 'the argument is used once');
    const inner = fn('Invoke-Order');
    alike(uses('text', inner).map((x) => text(above(x, 'command'))), ['', 'Read-Order $Text'], '... and read once');
    const textual = within(tree, 'expandable_string_literal').map((x) => x.text)
        .filter((x) => /\$\(?(order|text|payload|bytes|base64|m\b)/i.test(x));
    alike(textual, ['"$($order.Sid)"', '"<GUID=$($order.Guid.ToString(\'D\'))>"'], 'no text is made of the order, but by a SID and a GUID that were parsed');
    ok(/\$order\.Sid = \[Security\.Principal\.SecurityIdentifier\]::new\(\$order\.Sid\)/.test(script) &&
        /\$order\.Guid = \[guid\]\$order\.Guid/.test(script), '... which they are');
    alike(set([...script.matchAll(/\$order\.(\w+)/gi)].map((m) => m[1])).filter((x) => !['Clear', 'Domain', 'Expires', 'Guid', 'Must', 'Nonce', 'Op', 'Sid'].includes(x)),
        [], 'nothing else of it is there');

    // What is asked of the directory and of the log are constants.
    alike(assigned(/^\$\w+\.Filter =/).map((a) => a.text), ["$search.Filter = '(objectClass=*)'"], 'the filter is a constant');
    alike(assigned(/^\$\w+\.DistinguishedName =/).map((a) => a.text), ['$search.DistinguishedName = $Dn', '$edits.DistinguishedName = $dn'], 'what is bound to');
    alike(named('Get-Entry').map((x) => text(x.children.find((y) => y.type === 'command_elements')).trim().split(' ').slice(0, 2).join(' ')),
        ["$ldap ''", '$ldap $dn', '$ldap $head', '$ldap $dn'], '... rootDSE, the account by its GUID, the domain');
    alike(assigned(/^\$(dn|head) =/).map((a) => a.text), ['$head = "$(Get-Text $root \'defaultNamingContext\')"', '$dn = "<GUID=$($order.Guid.ToString(\'D\'))>"'], '... and from where');
    ok(/^\*\[System\[\([A-Za-z0-9= ]+\)\]\]$/.test(c.EventQuery), 'the query of the log is a constant');
    ok(!/DirectorySearcher|\[adsi|LDAP:\/\/|GetObject|WinNT:/i.test(script), 'there is no other way to the directory');
    ok(!/localhost/.test(script.replace("-ArgumentList 'localhost', 389", '')), 'it talks to this machine');

    // What it may do at all.
    alike(set(named('New-Object').map((x) => x.children.find((y) => y.type === 'command_elements').text.trim().split(' ')[0])),
        set(['"$Protocols.SearchRequest"', '"$Protocols.SecurityDescriptorFlagControl"', '"$Protocols.DirectoryAttributeModification"',
            '"$Protocols.LdapDirectoryIdentifier"', '"$Protocols.LdapConnection"', '"$Protocols.ModifyRequest"']), 'the objects it makes');
    const known = new Set(within(tree, 'function_name').map((x) => x.text));
    alike(set(commands.map((x) => text(x.name)).filter((x) => !known.has(x))),
        set(['Add-Type', 'ForEach-Object', 'Get-Item', 'Get-WinEvent', 'New-Object', 'Select-Object', 'Set-StrictMode', 'Start-Sleep',
            'Where-Object', 'Write-Output']), 'the commands it uses');
    alike(named('Add-Edit').map((x) => x.text), ["Add-Edit $edits 'unicodePwd' 'Replace' (Get-NewPassword)",
        'Add-Edit $edits \'userAccountControl\' \'Delete\' "$uac"', 'Add-Edit $edits \'userAccountControl\' \'Add\' "$to"',
        "Add-Edit $edits 'pwdLastSet' 'Replace' '0'"], 'the four things that it writes');
    alike(named('Get-NewPassword').length, 1, 'a new password goes to the DC, and nowhere else');
    ok(uses('wire').every((x) => above(x, 'function_statement') === fn('Get-NewPassword')) &&
        /RNGCryptoServiceProvider/.test(fn('Get-NewPassword').text) && !/Get-Random|New-Guid|\[Random\]/i.test(script), '... and comes from the system\'s random source');
    const sends = within(tree, 'invokation_expression').filter((x) => /\.SendRequest\(/.test(x.text)).map((x) => x.text);
    alike(sends, ['$Ldap.SendRequest($search)', '$ldap.SendRequest($edits)'], 'one request that looks, one that changes');

    // Codes: all that it may give, and only those, have words in the agent and in the document.
    const codes = set([...script.matchAll(/\$Said\.code = '([a-z-]+)'/gi)].map((m) => m[1])
        .concat([...fn('Get-Refusal').text.matchAll(/return '([a-z-]+)'/g)].map((m) => m[1]))
        .concat([...script.matchAll(/\{ '([a-z]+)' \}\)$/gm)].map((m) => m[1]).filter((x) => x === 'exception')));
    const theirs = set([...table('codes').matchAll(/\{"([a-z-]+)",/g)].map((m) => m[1]));
    alike(codes, theirs, 'each code has its words in the agent');
    const document = read('docs/defender-setup.md');
    const missing = codes.filter((x) => !document.includes(`\`${x}\``));
    ok(missing.length === 0, '... and in docs/defender-setup.md', missing);
}

(async () => {
    const parse = await load();
    const script = fs.readFileSync(process.argv[2] || path.join(root, 'installer/defender/cordon-dc.ps1'), 'latin1');
    const tree = parse(script);
    const c = constants(tree);
    ok(!tree.broken && c.OrderPattern !== undefined && c.MarkerFormat !== undefined, 'the script is parsed, its constants found', Object.keys(c));
    wire(c);
    directory(c);
    vectors(c);
    shape(tree, script, c);
    console.log(`1..${n}`);
    process.exit(failed > 0 ? 1 : 0);
})().catch((e) => {
    console.log(`Bail out! ${e.stack}`);
    process.exit(2);
});
