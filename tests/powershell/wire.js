// wire.js -- what dc.js and sync.js share: a script's constants, its patterns and formats as JavaScript's.
'use strict';
const { walk, within, above } = require('./tree.js');

// --- the script's constants, from its tree ---------------------------------------------------
// $Name = 'text' [+ 'text' ...], a number, or a list of either; at the top of the script only.
function constants(tree) {
    const found = {};
    for (const a of within(tree, 'assignment_expression')) {
        if (above(a, 'function_statement') || above(a, 'statement_block')) continue;
        const name = /^\$(\w+) = /.exec(a.text);
        const leaves = [...walk(a)].filter((x) =>
            ['verbatim_string_characters', 'decimal_integer_literal', 'hexadecimal_integer_literal'].includes(x.type));
        const values = leaves.map((x) => (x.type === 'verbatim_string_characters' ? x.text.slice(1, -1) : Number(x.text)));
        const between = a.text.replace(/^\$\w+ = /, '').replace(/'[^']*'/g, '').replace(/#.*$/gm, '')
            .replace(/\b(0x[0-9a-f]+|\d+)\b/gi, '').replace(/\s/g, '');
        if (!name) continue;
        if (/^\+*$/.test(between) && values.length > 0) found[name[1]] = values.length === 1 ? values[0] : values.join('');
        else if (/^,+$/.test(between)) found[name[1]] = values;
    }
    return found;
}

// A pattern of .NET as one of JavaScript, where the two mean the same: whole text, no class that
// knows Unicode, no wildcard, no "$" (which .NET lets a line feed follow).
function pattern(dotnet) {
    const whole = /^\\A([\s\S]*)\\z$/.exec(dotnet);
    const bare = (whole ? whole[1] : '').replace(/\\[{}.]/g, '').replace(/\[[A-Za-z0-9._-]+\]/g, '');
    if (!whole || !/^[\w"':,|(){}?<>* -]*$/.test(bare) || /\\/.test(bare)) throw new Error(`not a common dialect: ${dotnet}`);
    return new RegExp(`^(?:${whole[1]})$`);
}

// .NET's composite format, as far as the script uses it.
function format(f, args) {
    return f.replace(/\{\{|\}\}|\{(\d+)\}/g, (m, i) => (m === '{{' ? '{' : m === '}}' ? '}' : String(args[Number(i)])));
}

module.exports = { constants, pattern, format };
