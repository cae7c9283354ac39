// openapi.js -- does a request agree with the published descriptions?
//
// Method and path must be there, query parameters known, required ones and headers given, and the
// body must fit its schema with nothing added. What does not is refused and put on the list of
// violations, which tests demand to be empty.
'use strict';
const fs = require('fs');
const path = require('path');
const Ajv = require('ajv');
const addFormats = require('ajv-formats');

const METHODS = ['get', 'post', 'patch', 'put', 'delete'];

// Not in the description: the tenant (fact sheet 8.1), and groups with their owners (Microsoft's pages
// "List groups", "List group owners").
const ADDED = {
  graph: (spec) => {
    const parameters = (...names) => names.map((n) => ({ $ref: `#/components/parameters/${n}` }));
    for (const v of ['v1.0', 'beta']) {
      const op = v === 'beta' ? 'beta' : 'v1';
      spec.paths[`/${v}/groups`] = {
        get: {
          operationId: `${op}_listGroups`,
          parameters: parameters(
            ...[
              'select',
              'filter',
              'expand',
              'top',
              'count',
              'skiptoken',
              'consistency',
              'client-request-id',
            ],
          ),
        },
      };
      spec.paths[`/${v}/groups/{group-id}/owners`] = {
        parameters: [
          { name: 'group-id', in: 'path', required: true, schema: { $ref: '#/components/schemas/guid' } },
        ],
        get: {
          operationId: `${op}_listGroupOwners`,
          parameters: parameters(
            ...['select', 'top', 'count', 'skiptoken', 'consistency', 'client-request-id'],
          ),
        },
      };
      spec.paths[`/${v}/organization`] = {
        get: {
          operationId: (v === 'beta' ? 'beta' : 'v1') + '_listOrganization',
          parameters: [
            { $ref: '#/components/parameters/select' },
            { $ref: '#/components/parameters/client-request-id' },
          ],
        },
      };
    }
  },
  okta: () => {},
  defender: () => {},
};

function closed(schema) {
  // "additionalProperties not allowed", wherever that is left open
  if (Array.isArray(schema)) return schema.map(closed);
  if (schema === null || typeof schema !== 'object') return schema;
  const s = {};
  for (const [k, v] of Object.entries(schema)) {
    if (k === 'discriminator' || k === 'example' || k === 'examples' || k === 'writeOnly') continue;
    s[k] =
      k === 'properties' ? Object.fromEntries(Object.entries(v).map(([n, p]) => [n, closed(p)])) : closed(v);
  }
  if (s.properties && s.additionalProperties === undefined && !s.allOf && !s.oneOf) {
    s.additionalProperties = false;
  }
  return s;
}

// RFC 7578, strictly: fills ctx.form and ctx.file {name, bytes}; returns what the schema is for.
function multipart(ctx, problems) {
  const b = /;\s*boundary=("?)([A-Za-z0-9'()+_,./:=?-]{1,70})\1$/.exec(ctx.headers['content-type']);
  const form = {};
  ctx.form = form;
  if (!b) {
    problems.push('multipart: no boundary');
    return form;
  }
  const whole = Buffer.concat([Buffer.from('\r\n'), ctx.body]);
  const mark = Buffer.from(`\r\n--${b[2]}`);
  const at = [];
  for (let i = whole.indexOf(mark); i >= 0; i = whole.indexOf(mark, i + 1)) at.push(i);
  if (at[0] !== 0 || !whole.subarray(at[at.length - 1] + mark.length).equals(Buffer.from('--\r\n')))
    problems.push('multipart: it does not begin and end with its boundary');
  for (let k = 0; k + 1 < at.length; k++) {
    const part = whole.subarray(at[k] + mark.length, at[k + 1]);
    const cut = part.indexOf('\r\n\r\n');
    const head = part.subarray(0, cut < 0 ? 0 : cut).toString('utf8');
    const bytes = part.subarray(cut + 4);
    const d =
      /^\r\nContent-Disposition: form-data; name="([A-Za-z]+)"(?:; filename="([^"\r\n]+)")?(\r\nContent-Type: [a-z/-]+)?$/.exec(
        head,
      );
    if (!d) {
      problems.push(`multipart: a part's head: ${JSON.stringify(head)}`);
      continue;
    }
    if (d[1] in form) problems.push(`form field given twice: ${d[1]}`);
    form[d[1]] = d[2] === undefined ? bytes.toString('utf8') : `${bytes.length} bytes`;
    if (d[2] !== undefined) ctx.file = { name: d[2], bytes };
  }
  return form;
}

class Description {
  constructor(name) {
    const file = path.join(__dirname, '..', 'apis', `${name}.openapi.json`);
    this.name = name;
    this.spec = JSON.parse(fs.readFileSync(file, 'utf8'));
    ADDED[name](this.spec);
    this.ajv = new Ajv({ strict: false, allErrors: true, discriminator: false, validateFormats: true });
    addFormats(this.ajv);
    // Formats of theirs that are prose.
    for (const f of this.foreignFormats()) this.ajv.addFormat(f, true);
    this.ajv.addSchema({ $id: 'spec', components: { schemas: closed(this.spec.components.schemas) } });
    this.routes = [];
    for (const [template, item] of Object.entries(this.spec.paths)) {
      for (const m of METHODS) if (item[m]) this.routes.push(this.route(template, m, item));
    }
    this.routes.sort((a, b) => a.names.length - b.names.length);
  }

  foreignFormats() {
    const found = new Set();
    const walk = (o) => {
      if (o === null || typeof o !== 'object') return;
      if (typeof o.format === 'string') found.add(o.format);
      Object.values(o).forEach(walk);
    };
    walk(this.spec);
    return [...found].filter((f) => !this.ajv.formats[f]);
  }

  resolve(p) {
    if (!p.$ref) return p;
    return p.$ref
      .split('/')
      .slice(1)
      .reduce((o, k) => o[k.replace(/~1/g, '/')], this.spec);
  }

  route(template, m, item) {
    const names = [];
    const re = template.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{([^}]+)\}/g, (_, n) => {
      names.push(n);
      return template.includes(`'{${n}}'`) ? '([^/]+?)' : '([^/]+)';
    });
    const op = item[m];
    const params = [...(item.parameters || []), ...(op.parameters || [])].map((p) => this.resolve(p));
    return {
      template,
      method: m.toUpperCase(),
      re: new RegExp(`^${re}$`),
      names,
      op,
      params,
      id: op.operationId,
    };
  }

  find(method, pathname) {
    const p = pathname.replace(/%24/g, '$').replace(/%27/g, "'").replace(/%28/g, '(').replace(/%29/g, ')');
    let known = false;
    for (const r of this.routes) {
      const m = r.re.exec(p);
      if (!m) continue;
      // "/users('x')" is not "/users/{id}"; the template that fits literally comes first.
      known = true;
      if (r.method !== method) continue;
      const params = {};
      try {
        r.names.forEach((n, i) => {
          params[n] = decodeURIComponent(m[i + 1]);
        });
      } catch (e) {
        return { known, bad: 'the path is not percent-encoded UTF-8' };
      }
      return { route: r, params };
    }
    return { known };
  }

  validator(r, key, schema) {
    r.validators = r.validators || {};
    if (!r.validators[key]) {
      const text = JSON.stringify(closed(schema)).replace(/"#\/components/g, '"spec#/components');
      r.validators[key] = this.ajv.compile(JSON.parse(text));
    }
    return r.validators[key];
  }

  words(v) {
    return (v.errors || [])
      .map(
        (e) =>
          `${e.instancePath || '/'} ${e.message}` +
          (e.params && e.params.additionalProperty ? ` (${e.params.additionalProperty})` : ''),
      )
      .join('; ');
  }

  // Fills ctx.op, ctx.params, ctx.json or ctx.form; returns what is wrong, in words.
  check(ctx) {
    const problems = [];
    const found = this.find(ctx.method, ctx.path);
    if (!found.route) {
      return [
        found.bad ||
          (found.known
            ? `${ctx.method} is not described for ${ctx.path}`
            : `no such path in the description: ${ctx.path}`),
      ];
    }
    const r = found.route;
    ctx.route = r;
    ctx.op = r.id.replace(/^(v1|beta)_/, '');
    ctx.params = found.params;
    problems.push(...this.checkParams(ctx, r), ...this.checkBody(ctx, r));
    return problems;
  }

  checkParams(ctx, r) {
    const problems = [];
    const known = new Map(r.params.filter((p) => p.in === 'query').map((p) => [p.name, p]));
    for (const [name, values] of ctx.query) {
      const p = known.get(name);
      if (!p) {
        problems.push(`query parameter not described: ${name}`);
        continue;
      }
      if (values.length > 1) problems.push(`query parameter given twice: ${name}`);
      problems.push(...this.checkValue(r, p, values[0]));
    }
    for (const p of r.params) {
      const given =
        p.in === 'query'
          ? ctx.query.has(p.name)
          : p.in === 'header'
            ? ctx.headers[p.name.toLowerCase()] !== undefined
            : true;
      if (p.required && !given) problems.push(`${p.in} parameter missing: ${p.name}`);
      if (p.in === 'header' && given && p.name !== 'Content-Type') {
        problems.push(...this.checkValue(r, p, ctx.headers[p.name.toLowerCase()]));
      }
      if (p.in === 'path' && p.schema) problems.push(...this.checkValue(r, p, ctx.params[p.name]));
    }
    return problems;
  }

  checkValue(r, p, text) {
    const s = p.schema || {};
    let value = text;
    if (s.type === 'integer' || s.type === 'number') value = /^-?[0-9]+$/.test(text) ? Number(text) : text;
    if (s.type === 'boolean') value = text === 'true' ? true : text === 'false' ? false : text;
    const v = this.validator(r, `${p.in} ${p.name}`, s);
    return v(value) ? [] : [`${p.in} parameter ${p.name}: ${this.words(v)}`];
  }

  checkBody(ctx, r) {
    const want = r.op.requestBody && this.resolve(r.op.requestBody);
    const type = (ctx.headers['content-type'] || '').split(';')[0].trim().toLowerCase();
    const problems = [];
    if (ctx.body.length === 0) {
      if (want && want.required) problems.push('a body is needed');
      if (
        ['POST', 'PATCH', 'PUT'].includes(ctx.method) &&
        ctx.http === '1.1' &&
        ctx.headers['content-length'] === undefined
      ) {
        problems.push('Content-Length: 0 is needed where there is no body');
      }
      return problems;
    }
    if (ctx.method === 'GET' || ctx.method === 'DELETE') return [`${ctx.method} with a body`];
    const types = want
      ? want.content
      : { 'application/json': { schema: { type: 'object', maxProperties: 0 } } };
    const media = types[type];
    if (!media)
      return [`Content-Type ${type || 'missing'} is not described (${Object.keys(types).join(', ')})`];
    let value;
    if (type === 'application/json') {
      try {
        value = JSON.parse(ctx.body.toString('utf8'));
      } catch (e) {
        return [`body: ${e.message}`];
      }
      if (!Buffer.from(ctx.body.toString('utf8')).equals(ctx.body)) problems.push('body: not UTF-8');
      ctx.json = value;
    } else if (type === 'multipart/form-data') {
      value = multipart(ctx, problems);
    } else {
      value = {};
      for (const [k, v] of new URLSearchParams(ctx.body.toString('utf8'))) {
        if (k in value) problems.push(`form field given twice: ${k}`);
        value[k] = v;
      }
      ctx.form = value;
    }
    const v = this.validator(r, `body ${type}`, media.schema);
    if (!v(value)) problems.push(`body: ${this.words(v)}`);
    return problems;
  }
}

module.exports = { Description };
