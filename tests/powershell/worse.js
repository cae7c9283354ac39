// worse.js DIR FILE... -- copies of scripts into DIR, each with one brace, parenthesis or quote gone.
'use strict';
const fs = require('fs');
const path = require('path');
const { load, walk } = require('./tree.js');

(async () => {
    const parse = await load();
    const [dir, ...files] = process.argv.slice(2);
    fs.mkdirSync(dir, { recursive: true });
    for (const file of files) {
        const source = fs.readFileSync(file, 'latin1');
        const leaves = [...walk(parse(source))].filter((n) => n.children.length === 0);
        const cuts = [];
        for (const sign of ['{', '}', '(', ')']) {
            const all = leaves.filter((n) => n.text === sign);
            for (const i of new Set([0, all.length >> 1, all.length - 1])) cuts.push(all[i].start);
        }
        // The end of the last text: there is no other quote behind it that could end it.
        cuts.push(leaves.filter((n) => n.type === 'verbatim_string_characters').pop().end - 1);
        for (const at of cuts) {
            const to = `${path.basename(file, '.ps1')}-without-${at}.ps1`;
            fs.writeFileSync(path.join(dir, to), source.slice(0, at) + source.slice(at + 1), 'latin1');
        }
    }
    process.exit(0);
})();
