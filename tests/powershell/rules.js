// rules.js FILE... -- what is wrong with these PowerShell scripts, a line each: FILE:LINE: what.
// Exit code 0: nothing, 1: something, 2: could not be read.
//
// No PowerShell runs where cordon is built, so each script is parsed with a real grammar
// (tree-sitter), and what must hold is asked of the tree. A rule that is in the way of a good line:
// write the line differently, and keep the rule.
'use strict';
const fs = require('fs');
const path = require('path');
const { load, walk, within, above, text } = require('./tree.js');

// Verbs that change something somewhere, whatever the noun.
const CHANGES = new RegExp('^(' + ['Add', 'Clear', 'Complete', 'Copy', 'Disable', 'Dismount', 'Enable', 'Export',
    'Grant', 'Import', 'Initialize', 'Install', 'Invoke', 'Limit', 'Lock', 'Mount', 'Move', 'New', 'Publish', 'Register',
    'Remove', 'Rename', 'Repair', 'Reset', 'Resize', 'Restart', 'Restore', 'Resume', 'Revoke', 'Save', 'Send', 'Set', 'Start',
    'Stop', 'Suspend', 'Sync', 'Tee', 'Unblock', 'Uninstall', 'Unlock', 'Unregister', 'Update', 'Write'].join('|') + ')-', 'i');
// ... but for these: they change the script itself only.
const HARMLESS = new Set(['new-object', 'new-timespan', 'new-guid', 'set-strictmode', 'set-variable', 'set-location',
    'import-module', 'import-csv', 'write-host', 'write-output', 'write-error', 'write-warning', 'write-verbose',
    'write-information', 'out-null', 'out-string', 'start-sleep']);
const ALSO = new Set(['out-file']);
// What comes with .NET may be loaded; what it compiles may not.
const LOADS = /^Add-Type -AssemblyName [A-Za-z][\w.]*$/;
// Methods of .NET and ADSI that change something.
const METHODS = new Set(['commitchanges', 'setinfo', 'savechanges', 'delete', 'deletetree', 'writealltext', 'writealllines',
    'writeallbytes', 'appendalltext', 'createdirectory', 'moveto', 'setpassword', 'changepassword', 'invokeset', 'invoke',
    'put', 'putex', 'setvalue', 'createsubkey', 'deletevalue', 'sendrequest', 'start', 'kill']);
// ... and those that make a program of a text.
const RUNS = new Set(['invokescript', 'newscriptblock', 'expandstring', 'addscript']);
// Programs, and the words after which they only look.
const PROGRAMS = {
    'auditpol.exe': /^\/(get|list|backup)$/, 'wevtutil.exe': /^(gl|gli|qe|el)$/, 'winrm.cmd': /^(get|enumerate|e|g|id)$/,
    'klist.exe': /./, 'whoami.exe': /./,
};
// Names that an installation in another language does not have: by SID or GUID only.
const TRANSLATED = /^((BUILTIN|NT AUTHORITY)\\.*|(.*\\)?(Event Log Readers|Remote Management Users|Administrators|Users|Guests|Domain Admins|Enterprise Admins|Schema Admins|Domain Controllers|Domain Users|Authenticated Users|Everyone|Account Operators|Backup Operators|Protected Users)|User Account Management)$/i;
const IN_FILTER = /\((cn|name|sAMAccountName)=(Event Log Readers|Remote Management Users|Administrators|Domain )/i;
const BY_NAME = /^\/(sub)?category:(?![{$*])/i;

const unquoted = (s) => s.replace(/^(["'])([\s\S]*)\1$/, '$2');

// Is this condition true only where somebody said yes to $PSCmdlet.ShouldProcess? Whatever stands
// between the call and the condition may be "-and" and parentheses, nothing else.
function asks(condition) {
    return within(condition, 'invokation_expression').some((call) => {
        if (!/^\$PSCmdlet\.ShouldProcess\(/i.test(call.text)) return false;
        for (let n = call.parent; n !== condition.parent; n = n.parent) {
            if (n.type === 'command') return false;
            const parts = n.children.filter((c) => c.type !== 'comment');
            const joins = n.type === 'logical_expression' &&
                parts.every((c) => c.isNamed || c.text.toLowerCase() === '-and');
            if (parts.length > 1 && !joins && n.type !== 'parenthesized_expression') return false;
        }
        return true;
    });
}

// Does the node stand in the branch that is taken after such a yes?
function guarded(node) {
    for (let n = node; n.parent; n = n.parent) {
        if (n.type === 'function_statement') return false; // who calls it is not seen from here
        const fork = n.parent;
        if (n.type === 'statement_block' && (fork.type === 'if_statement' || fork.type === 'elseif_clause') &&
            asks(fork.condition)) return true;
    }
    return false;
}

function parameters(command) {
    return within(command, 'command_parameter').filter((p) => above(p, 'command') === command)
        .map((p) => p.text.toLowerCase());
}

// Every place where the script changes the world; also tells what can't be judged.
function changes(tree, functions, say) {
    const found = [];
    for (const c of within(tree, 'command')) {
        const nameNode = c.name;
        const operator = text(c.children.find((x) => x.type === 'command_invokation_operator'));
        const name = unquoted(text(nameNode)).toLowerCase();
        const rest = c.text.slice(nameNode.end - c.start);
        if (parameters(c).includes('-whatif') || /-WhatIf\b/i.test(rest)) say(c, '-WhatIf is the caller\'s to say');
        if (operator === '.') {
            if (!/^\(Join-Path \$PSScriptRoot '[\w.-]+\.ps1'\)$/.test(text(nameNode))) say(c, 'it can\'t be seen what this dot-sources');
        } else if (name in PROGRAMS) {
            const word = text(within(c, 'generic_token')[0] || within(c, 'string_literal')[0]);
            if (!PROGRAMS[name].test(unquoted(word).toLowerCase())) found.push(c);
        } else if (/\.(exe|cmd|com|bat|vbs)$/.test(name)) {
            found.push(c);
        } else if (functions.has(name) || HARMLESS.has(name) || LOADS.test(c.text)) {
            continue;
        } else if (!/^[a-z]+-[a-z0-9]+$/.test(name)) {
            say(c, `"${text(nameNode)}": an alias, or a program without its ending`);
        } else if (CHANGES.test(name) || ALSO.has(name)) {
            found.push(c);
            if (/^invoke-expression$/.test(name)) say(c, 'text must not be run');
        }
    }
    for (const c of within(tree, 'invokation_expression')) {
        const method = text(within(c, 'member_name').pop()).toLowerCase();
        const given = text(c.children.find((x) => x.type === 'argument_list'));
        const looks = (method === 'delete' && given === '($scratch)') || // our own scratch file
            (method === 'sendrequest' && /search/i.test(given));
        if (METHODS.has(method) && !looks) found.push(c);
        if (RUNS.has(method) || /^\[(System\.Management\.Automation\.)?(scriptblock|powershell)\]::/i.test(c.text)) {
            say(c, 'text must not be run');
        }
    }
    for (const r of within(tree, 'redirection')) {
        if (!/^(\*|\d)?>&\d$|>\s*\$null$/i.test(r.text)) found.push(r);
    }
    return found;
}

function help(tree, source, say) {
    const block = tree.children.find((c) => c.type === 'param_block');
    if (!block) return;
    const head = tree.children.find((c) => c.type === 'comment' && c.text.startsWith('<#'));
    for (const part of ['SYNOPSIS', 'DESCRIPTION', 'EXAMPLE']) {
        if (!head || !new RegExp(`^\\.${part}$`, 'm').test(head.text)) say(block, `no .${part} in its help`);
    }
    for (const p of within(block, 'script_parameter')) {
        const name = p.children.filter((c) => c.type === 'variable').map(text)[0].slice(1);
        if (!head || !new RegExp(`^\\.PARAMETER ${name}$`, 'mi').test(head.text)) say(p, `its help says nothing of -${name}`);
    }
    if (!/^#Requires -Version 5\.1$/m.test(source)) say(block, 'no "#Requires -Version 5.1"');
}

function check(file, parse, common) {
    const bytes = fs.readFileSync(file);
    const source = bytes.toString('latin1');
    const found = [];
    const at = (line, what) => found.push(`${file}:${line}: ${what}`);
    const say = (node, what) => at(node.line, what);

    source.split('\n').forEach((line, i) => {
        const bad = line.search(/[^\t\r\x20-\x7e]/);
        if (bad >= 0) at(i + 1, 'not ASCII: 5.1 reads it in the code page of the machine');
    });
    const tree = parse(source);
    if (tree.broken) {
        at([...walk(tree)].filter((n) => n.wrong).map((n) => n.line)[0] || 1, 'syntax error');
        return found;
    }

    const named = (t) => within(t, 'function_name').map((f) => f.text.toLowerCase());
    const functions = new Set([...named(tree), ...common.flatMap((c) => (source.includes(c.name) ? named(c.tree) : []))]);
    const changing = changes(tree, functions, say);
    for (const c of changing) {
        if (!guarded(c)) say(c, `not behind ShouldProcess: ${c.text.split('\n')[0].slice(0, 80)}`);
    }
    if (changing.length > 0 && !/\[CmdletBinding\((.*,\s*)?SupportsShouldProcess\b(?!\s*=\s*\$false)/i.test(
        within(tree, 'attribute').map((a) => `[${a.text}]`).join('\n'))) {
        at(1, 'changes something, without [CmdletBinding(SupportsShouldProcess)]');
    }

    for (const n of walk(tree)) {
        if (n.type === 'string_literal' || n.type === 'generic_token') {
            const s = unquoted(n.text);
            if (TRANSLATED.test(s) || IN_FILTER.test(s) || BY_NAME.test(s)) say(n, `by a name that is translated: ${s}`);
        }
        // "$name: x" is a variable of a drive "name:", and an error; the grammar takes it.
        if (n.type === 'expandable_string_literal' && /(^|[^`])\$\w+:(?![\w:])/.test(n.text)) {
            say(n, 'a colon behind a variable in a string: write ${name}:');
        }
        if (n.type === 'command' && /^(Get|Set|Enable|Disable|Remove)-NetFirewallRule$/i.test(text(n.name)) &&
            parameters(n).some((p) => p === '-displayname' || p === '-displaygroup')) {
            say(n, 'by a name that is translated: take -Name or -Group');
        }
        if (!n.isNamed && ['&&', '||', '??', '?.'].includes(n.text)) say(n, `${n.text} is not in Windows PowerShell 5.1`);
    }

    // Indented: in the function that does it all, where a script is dot-sourced by somebody else.
    const strict = (t) => /^ *Set-StrictMode -Version \d/m.test(t) && /^ *\$ErrorActionPreference = 'Stop'$/m.test(t);
    if (!strict(source) && !common.some((c) => source.includes(`'${c.name}'`) && strict(c.source))) {
        at(1, 'no strict mode, or errors do not stop it');
    }
    help(tree, source, say);
    return found;
}

(async () => {
    const parse = await load();
    const files = process.argv.slice(2);
    if (files.length === 0) throw new Error('which files?');
    // What scripts may dot-source: the files named ...Common.ps1 beside them.
    const common = files.filter((f) => f.endsWith('Common.ps1')).map((f) => {
        const source = fs.readFileSync(f, 'latin1');
        return { name: path.basename(f), source, tree: parse(source) };
    });
    const found = files.flatMap((f) => check(f, parse, common));
    for (const f of found) console.log(f);
    process.exit(found.length > 0 ? 1 : 0);
})().catch((e) => {
    console.error(`rules.js: ${e.message}`);
    process.exit(2);
});
