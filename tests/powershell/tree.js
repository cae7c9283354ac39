// tree.js -- PowerShell as a tree of plain objects, by tree-sitter's grammar.
'use strict';
const path = require('path');
require('v8').setFlagsFromString('--liftoff-only'); // else V8 works on the grammar for seconds
const { Parser, Language } = require('web-tree-sitter');

// Made once: asking the library's own objects for each question is slow.
function plain(n, parent) {
    const me = {
        type: n.type, isNamed: n.isNamed, text: n.text, start: n.startIndex, end: n.endIndex,
        line: n.startPosition.row + 1, wrong: n.isError || n.isMissing, parent,
    };
    me.children = n.children.map((c) => plain(c, me));
    if (n.type === 'command') me.name = me.children.find((c) => /^command_name/.test(c.type));
    if (/^(if_statement|elseif_clause)$/.test(n.type)) me.condition = me.children.find((c) => c.type === 'pipeline');
    return me;
}

// A function from source to tree; its root says `broken` where the grammar found an error.
async function load() {
    await Parser.init();
    const dir = path.dirname(require.resolve('tree-sitter-powershell/package.json'));
    const parser = new Parser();
    parser.setLanguage(await Language.load(path.join(dir, 'tree-sitter-powershell.wasm')));
    return (source) => {
        const root = parser.parse(source).rootNode;
        const tree = plain(root, null);
        tree.broken = root.hasError;
        return tree;
    };
}

function* walk(n) {
    yield n;
    for (const c of n.children) yield* walk(c);
}
const within = (n, type) => [...walk(n)].filter((c) => c.type === type);
const above = (n, type) => {
    for (let p = n.parent; p; p = p.parent) if (p.type === type) return p;
    return null;
};
const text = (n) => (n ? n.text : '');

module.exports = { load, walk, within, above, text };
