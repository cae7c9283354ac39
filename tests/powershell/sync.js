// sync.js -- installer/defender/cordon-sync.ps1, which can't be run here: what its tree says, and its
// patterns tried on the vectors that the agent's own test reads. TAP. sync.js [SCRIPT]
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
const alike = (a, b, name) => ok(same(a, b), name, `script: ${JSON.stringify(a)}`, `wanted: ${JSON.stringify(b)}`);

function wire(c) {
    const source = read('agent/sync_order.c');
    const members = (s) => [...s.matchAll(/[{,]"(\w+)":/g)].map((m) => m[1]);
    alike(/\(\?<op>([^)]*)\)/.exec(c.OrderPattern)[1].split('|').sort(), set([...source.matchAll(/"(sync-\w+)"/g)].map((m) => m[1])), 'the operations');
    const built = /"(\{\\"v\\":1(?:\\"|[^"])*)",/.exec(source)[1].replace(/\\"/g, '"');
    alike(members(c.OrderPattern), members(built), 'the members of an order, in their order');
    ok(c.MarkerFormat.startsWith('CORDON1 {0} {{'), 'how an answer begins');
    alike(c.MaxAheadMs, Number(/DC_AHEAD_MS (\d+)/.exec(read('agent/dc_payload.h'))[1]), 'how far ahead an order may end');
    const reader = read('cloud/sync_cycle.c');
    ok(members(c.AnswerFormat).every((m) => reader.includes(`"${m}"`) && source.includes(`"${m}"`)) &&
        members(c.SchedulerFormat).every((m) => reader.includes(`"${m}"`) && source.includes(`"${m}"`)), 'the members of an answer are those that are read');
}

function vectors(c) {
    const v = JSON.parse(read('tests/data/defender/sync_vectors.json'));
    const argument = pattern(c.ArgumentPattern);
    const order = pattern(c.OrderPattern);
    let wrong = v.orders.filter((x) => {
        const m = order.exec(x.json);
        return !argument.test(`c1_${x.payload}`) || Buffer.from(x.payload, 'base64url').toString('latin1') !== x.json || !m ||
            !same({ ...m.groups }, { op: x.op, expires: `${x.expires}`, nonce: x.nonce });
    });
    ok(wrong.length === 0 && v.orders.length >= 4, `orders (${v.orders.length}) are taken, and mean the same`, wrong.map((x) => x.json));
    wrong = v.not_orders.filter((x) => order.test(x.json));
    ok(wrong.length === 0 && v.not_orders.length >= 16, `what is no order (${v.not_orders.length}) is refused`, wrong.map((x) => x.name));
    const hostile = [...Array(256).keys()].filter((b) => !/[A-Za-z0-9]/.test(String.fromCharCode(b))).map((b) => String.fromCharCode(b));
    const tricks = ['$(calc)', '`n', ';calc', '|calc', '&calc', '<#', '@(', '\r\n', '\u2028', '\u0130', '\uff07', '\u201d'];
    const bad = [];
    let tried = 0;
    for (const { json, payload } of v.orders) {
        for (let i = 0; i <= json.length; i++) {
            for (const h of [...hostile, ...tricks]) {
                for (const t of [json.slice(0, i) + h + json.slice(i), json.slice(0, i) + h + json.slice(i + 1)]) {
                    tried++;
                    if (t !== json && order.test(t)) bad.push(t);
                }
            }
        }
        const a = `c1_${payload}`;
        for (let i = 0; i <= a.length; i++) for (const h of [...hostile, ...tricks]) {
            tried++;
            const t = a.slice(0, i) + h + a.slice(i);
            if (argument.test(t) && !/^[\w-]*$/.test(t)) bad.push(t);
        }
    }
    ok(bad.length === 0, `${tried} orders and arguments with something hostile in them are none`, bad);
    wrong = v.answers.filter((x) => format(c.MarkerFormat, x.parts) !== x.line);
    ok(wrong.length === 0 && v.answers.length >= 15, `answers (${v.answers.length}), made by the script's own format`, wrong.map((x) => x.name));
}

function shape(tree, script) {
    const commands = within(tree, 'command');
    const named = (name) => commands.filter((x) => text(x.name).toLowerCase() === name.toLowerCase());
    const known = new Set(within(tree, 'function_name').map((x) => x.text));
    ok(script.split('\n').length <= 200, 'it can be read in one sitting: 200 lines');
    alike(set(commands.map((x) => text(x.name)).filter((x) => !known.has(x))),
        set(['Get-ADSyncConnectorRunStatus', 'Get-ADSyncScheduler', 'Import-Module', 'Set-StrictMode', 'Start-ADSyncSyncCycle', 'Write-Output']),
        'the commands it uses');
    alike(named('Start-ADSyncSyncCycle').map((x) => x.text), ['Start-ADSyncSyncCycle -PolicyType Delta'], 'a delta cycle, and no other');
    alike(named('Import-Module').map((x) => x.text), ['Import-Module ADSync'], 'the module it loads');
    alike(named('Write-Output').map((x) => above(x, 'function_statement') === null && above(x, 'statement_block') === null), [true], 'one line is written, at the end, once');
    ok(script.trimEnd().split('\n').slice(-2)[0].startsWith('Write-Output ($MarkerFormat -f $said.nonce,'), 'it is the last thing done');
    alike([...script.matchAll(/\$Payload\b/g)].length, 2, 'the argument is used once');
    alike(set([...script.matchAll(/\$order\.(\w+)/gi)].map((m) => m[1])), ['Expires', 'Nonce', 'Op'], 'what of the order is used');
    ok(!/New-Object|Add-Type|Invoke-Expression|\biex\b|&\s*\$|\.Invoke\(|\[scriptblock\]|EncodedCommand/i.test(script), 'nothing is made a program of');
    const codes = set([...script.matchAll(/\$said\.code = '([a-z-]+)'/gi)].map((m) => m[1]));
    const theirs = read('agent/dc_payload.c');
    ok(codes.every((x) => theirs.includes(`{"${x}",`)), 'each code has its words in the agent', codes);
}

(async () => {
    const parse = await load();
    const script = fs.readFileSync(process.argv[2] || path.join(root, 'installer/defender/cordon-sync.ps1'), 'latin1');
    const tree = parse(script);
    const c = constants(tree);
    ok(!tree.broken && c.OrderPattern !== undefined && c.MarkerFormat !== undefined, 'the script is parsed, its constants found', Object.keys(c));
    wire(c);
    vectors(c);
    shape(tree, script);
    console.log(`1..${n}`);
    process.exit(failed > 0 ? 1 : 0);
})().catch((e) => {
    console.log(`Bail out! ${e.stack}`);
    process.exit(2);
});
