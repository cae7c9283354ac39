// kql.js -- answers of hunting and Log Analytics from the rows that orders gave: the table, the
// simple comparisons of `where`, and the columns of `project` are read out of the query; no more.
'use strict';

function value(s) {
  const m = /^(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")$/.exec(s.trim());
  return m ? (m[1] !== undefined ? m[1] : m[2]).replace(/\\(.)/g, '$1') : s.trim();
}
const same = (a, b) => String(a).toLowerCase() === String(b).toLowerCase();
const ago = (s) => {
  const m = /^([0-9]+)(s|m|h|d)$/.exec(s);
  return m ? Date.now() - Number(m[1]) * { s: 1e3, m: 6e4, h: 36e5, d: 864e5 }[m[2]] : NaN;
};

function condition(text, row) {
  // A column that the row lacks may be an extended one: then any value of the row will do.
  const has = (col, test) =>
    col in row
      ? test(row[col])
      : Object.values(row).some(
          (v) =>
            test(v) ||
            JSON.stringify(v)
              .toLowerCase()
              .includes(`"${String(test.want).toLowerCase()}"`),
        );
  const eq = (w) => Object.assign((v) => same(v, w), { want: w });
  let m = /^(\w+)\s+in~?\s*\((.*)\)$/s.exec(text);
  if (m) return m[2].split(',').some((w) => has(m[1], eq(value(w))));
  m = /^(\w+)\s*(?:==|=~)\s*(.+)$/s.exec(text);
  if (m) return has(m[1], eq(value(m[2])));
  m = /^(\w+)\s*(>=?)\s*(?:ago\(([^)]*)\)|datetime\(([^)]*)\))$/s.exec(text);
  if (m && m[1] in row) {
    const t = m[3] !== undefined ? ago(m[3]) : Date.parse(m[4]);
    return Number.isNaN(t) || Date.parse(row[m[1]]) >= t;
  }
  m = /^(\w+)\s*(<=?)\s*datetime\(([^)]*)\)$/s.exec(text);
  if (m && m[1] in row) return Date.parse(row[m[1]]) <= Date.parse(m[3]);
  m = /^(\w+)\s+between\s*\(\s*datetime\(([^)]*)\)\s*\.\.\s*datetime\(([^)]*)\)\s*\)$/s.exec(text);
  if (m && m[1] in row)
    return Date.parse(row[m[1]]) >= Date.parse(m[2]) && Date.parse(row[m[1]]) <= Date.parse(m[3]);
  return true;
}

function answerQuery(tenant, query) {
  const parts = query.split('|').map((s) => s.trim());
  const table = (/^\w+/.exec(parts[0]) || [''])[0];
  let rows = tenant.rows[table] || [];
  let columns = null;
  for (const p of parts.slice(1)) {
    let m = /^where\s+(.*)$/s.exec(p);
    if (m) {
      for (const c of m[1].split(/\s+and\s+/)) rows = rows.filter((r) => condition(c.trim(), r));
      continue;
    }
    m = /^(?:take|limit)\s+([0-9]+)$/.exec(p);
    if (m) {
      rows = rows.slice(0, Number(m[1]));
      continue;
    }
    m = /^project\s+(.*)$/s.exec(p);
    if (m) columns = m[1].split(',').map((c) => c.split('=')[0].trim());
  }
  if (!columns) columns = [...new Set(rows.flatMap((r) => Object.keys(r)))];
  rows = rows.map((r) => Object.fromEntries(columns.map((c) => [c, r[c] === undefined ? null : r[c]])));
  return { columns, rows };
}

function logAnalytics(ctx) {
  const { columns, rows } = answerQuery(ctx.tenant, ctx.json.query);
  const type = (c) => (/time/i.test(c) ? 'datetime' : /^EventID$/.test(c) ? 'int' : 'string');
  const body = {
    tables: [
      {
        name: 'PrimaryResult',
        columns: columns.map((c) => ({ name: c, type: type(c) })),
        rows: rows.map((r) => columns.map((c) => r[c])),
      },
    ],
  };
  if (ctx.tenant.settings.partialError)
    body.error = {
      code: 'PartialError',
      message: 'There were some errors when processing your query.',
      details: [],
    };
  return { status: 200, body };
}

module.exports = { answerQuery, logAnalytics };
