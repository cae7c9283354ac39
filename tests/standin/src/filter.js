// filter.js -- OData $filter (strings in ', paths with /) and SCIM filter (strings in ", paths
// with .): parsed to a tree, evaluated on plain objects. Only what the fact sheets use.
'use strict';

class FilterError extends Error {}

function tokens(text, dialect) {
  const q = dialect === 'odata' ? "'" : '"';
  const out = [];
  let i = 0;
  while (i < text.length) {
    const c = text[i];
    if (/\s/.test(c)) {
      i++;
      continue;
    }
    if (c === q) {
      let s = '';
      for (i++; ; i++) {
        if (i >= text.length) throw new FilterError('string without an end');
        if (dialect === 'odata' && text[i] === q && text[i + 1] === q) {
          s += q;
          i++;
          continue;
        }
        if (dialect !== 'odata' && text[i] === '\\') {
          s += text[++i];
          continue;
        }
        if (text[i] === q) break;
        s += text[i];
      }
      i++;
      out.push({ string: s });
      continue;
    }
    if ('(),:'.includes(c)) {
      out.push({ sign: c });
      i++;
      continue;
    }
    const m = /^[A-Za-z0-9_@$./+-]+(:[0-9]{2}(:[0-9.]+)?(Z|[+-][0-9:]+)?)*/.exec(text.slice(i));
    if (!m) throw new FilterError(`unexpected '${c}' at ${i}`);
    out.push({ word: m[0] });
    i += m[0].length;
  }
  return out;
}

// Nodes: {and:[..]}, {or:[..]}, {not:n}, {cmp, path, value}, {in, path}, {call, path, value},
// {any:{path, name, expr}}
function parse(text, dialect = 'odata') {
  const t = tokens(text, dialect);
  let i = 0;
  const peekWord = (w) => t[i] && t[i].word !== undefined && t[i].word.toLowerCase() === w;
  const sign = (c) => {
    if (!t[i] || t[i].sign !== c) throw new FilterError(`'${c}' expected`);
    i++;
  };
  const word = () => {
    if (!t[i] || t[i].word === undefined) throw new FilterError('a name expected');
    return t[i++].word;
  };
  const value = () => {
    const x = t[i++];
    if (!x) throw new FilterError('a value expected');
    if (x.string !== undefined) return x.string;
    if (x.word === undefined) throw new FilterError('a value expected');
    if (x.word === 'true') return true;
    if (x.word === 'false') return false;
    if (x.word === 'null') return null;
    if (/^-?[0-9]+(\.[0-9]+)?$/.test(x.word)) return Number(x.word);
    if (/^[0-9]{4}-[0-9]{2}-[0-9]{2}T/.test(x.word)) {
      if (Number.isNaN(Date.parse(x.word))) throw new FilterError(`not a time: ${x.word}`);
      return { time: Date.parse(x.word) };
    }
    if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(x.word)) return x.word;
    throw new FilterError(`not a value: ${x.word}`);
  };
  function primary() {
    if (t[i] && t[i].sign === '(') {
      i++;
      const n = or();
      sign(')');
      return n;
    }
    if (peekWord('not')) {
      i++;
      return { not: primary() };
    }
    const name = word();
    if (t[i] && t[i].sign === '(') {
      i++;
      const any = /^(.*)\/any$/.exec(name);
      if (any) {
        const v = word();
        sign(':');
        const expr = or();
        sign(')');
        return { any: { path: any[1], name: v, expr } };
      }
      if (!['startswith', 'endswith', 'contains'].includes(name.toLowerCase()))
        throw new FilterError(`no function ${name}`);
      const p = word();
      sign(',');
      const v = value();
      sign(')');
      return { call: name.toLowerCase(), path: p, value: v };
    }
    const op = word().toLowerCase();
    if (op === 'in') {
      sign('(');
      const list = [value()];
      while (t[i] && t[i].sign === ',') {
        i++;
        list.push(value());
      }
      sign(')');
      return { in: list, path: name };
    }
    if (dialect !== 'odata' && op === 'pr') return { cmp: 'pr', path: name };
    if (!['eq', 'ne', 'gt', 'ge', 'lt', 'le', ...(dialect === 'odata' ? [] : ['sw', 'co'])].includes(op))
      throw new FilterError(`no operator ${op}`);
    return { cmp: op, path: name, value: value() };
  }
  function and() {
    const l = [primary()];
    while (peekWord('and')) {
      i++;
      l.push(primary());
    }
    return l.length === 1 ? l[0] : { and: l };
  }
  function or() {
    const l = [and()];
    while (peekWord('or')) {
      i++;
      l.push(and());
    }
    return l.length === 1 ? l[0] : { or: l };
  }
  const n = or();
  if (i !== t.length) throw new FilterError('more behind the end');
  return n;
}

// Values at a path; an array on the way stands for each of its elements.
function at(o, path) {
  let l = [o];
  for (const k of path.split(/[/.]/)) {
    l = l
      .flatMap((x) => (Array.isArray(x) ? x : [x]))
      .map((x) => (x === null || x === undefined ? undefined : x[k]));
  }
  return l.flatMap((x) => (Array.isArray(x) ? x : [x]));
}

function compare(op, have, want, sensitive) {
  if (op === 'pr') return have !== undefined && have !== null;
  if (want !== null && typeof want === 'object') {
    want = want.time;
    have = have ? Date.parse(have) : NaN;
  }
  if (have === undefined) have = null;
  if (!sensitive && typeof have === 'string' && typeof want === 'string') {
    have = have.toLowerCase();
    want = want.toLowerCase();
  }
  switch (op) {
    case 'eq':
      return have === want;
    case 'ne':
      return have !== want;
    case 'gt':
      return have > want;
    case 'ge':
      return have >= want;
    case 'lt':
      return have < want;
    case 'sw':
    case 'startswith':
      return typeof have === 'string' && have.startsWith(want);
    case 'co':
    case 'contains':
      return typeof have === 'string' && have.includes(want);
    case 'endswith':
      return typeof have === 'string' && have.endsWith(want);
    default:
      return have <= want;
  }
}

function holds(n, o, sensitive = false) {
  if (n.and) return n.and.every((x) => holds(x, o, sensitive));
  if (n.or) return n.or.some((x) => holds(x, o, sensitive));
  if (n.not) return !holds(n.not, o, sensitive);
  if (n.any)
    return at(o, n.any.path).some(
      (e) => e !== undefined && holds(n.any.expr, { [n.any.name]: e }, sensitive),
    );
  if (n.in) return at(o, n.path).some((v) => n.in.some((w) => compare('eq', v, w, sensitive)));
  if (n.call) return at(o, n.path).some((v) => compare(n.call, v, n.value, sensitive));
  return at(o, n.path).some((v) => compare(n.cmp, v, n.value, sensitive));
}

// All comparisons, with full paths: [{path, op, value}], "any" flattened.
function uses(n, prefix = {}) {
  if (n.and || n.or) return (n.and || n.or).flatMap((x) => uses(x, prefix));
  if (n.not) return uses(n.not, prefix).map((u) => ({ ...u, op: 'not' }));
  if (n.any) return uses(n.any.expr, { ...prefix, [n.any.name]: n.any.path });
  const first = n.path.split('/')[0];
  const path = prefix[first] ? [prefix[first], ...n.path.split('/').slice(1)].join('/') : n.path;
  if (n.in) return [{ path, op: 'in', value: n.in }];
  return [{ path, op: n.call || n.cmp, value: n.value }];
}

module.exports = { parse, holds, uses, FilterError };
