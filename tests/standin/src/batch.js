// batch.js -- Graph's $batch: each part as a request of its own, with its own checks and faults.
'use strict';
const { Refusal } = require('./odata');

// Which parts a fault means: true: all; a list of ids; a count; a share below 1, at least one part.
function meant(ids, which) {
  if (which === undefined) return [];
  if (which === true) return ids;
  if (Array.isArray(which)) return ids.filter((id) => which.map((x) => String(x).toLowerCase()).includes(id));
  return ids.slice(0, which < 1 ? Math.ceil(which * ids.length) : which);
}

async function batch(ctx) {
  const list = ctx.json.requests;
  const ids = list.map((r) => r.id.toLowerCase());
  if (new Set(ids).size !== ids.length) {
    ctx.violate(['$batch: an id twice']);
    throw new Refusal(400, 'BadRequest', 'Request Id has to be unique in a batch.');
  }
  const d = ctx.fault || {};
  const status = new Map();
  const throttled = meant(ids, d.throttleParts);
  const dropped = meant(ids, d.dropParts);
  const run = async (r) => {
    if (throttled.includes(r.id.toLowerCase())) {
      return {
        id: r.id,
        status: 429,
        headers: {
          ...(d.partRetryAfter === null ? {} : { 'Retry-After': String(d.partRetryAfter || '1') }),
          'Content-Type': 'application/json',
        },
        body: ctx.service.error(ctx, 429, 'TooManyRequests', 'Please retry again later.').body,
      };
    }
    for (const on of r.dependsOn || []) {
      if (!(status.get(on.toLowerCase()) < 400))
        return {
          id: r.id,
          status: 424,
          headers: { 'Content-Type': 'application/json' },
          body: ctx.service.error(ctx, 424, 'Failed Dependency', 'A dependency of this request failed.').body,
        };
    }
    const a = await ctx.service.inner(ctx, r);
    if (a.cut) return null;
    const text = a.raw !== undefined ? a.raw : a.body;
    return {
      id: r.id,
      status: a.status,
      headers: {
        'Cache-Control': 'no-cache',
        ...a.headers,
        ...(a.body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      body: text === undefined ? null : text,
    };
  };
  const responses = [];
  const note = (r, a) => {
    status.set(r.id.toLowerCase(), a ? a.status : 500);
    if (a) responses.push(a);
  };
  if (list.some((r) => r.dependsOn && r.dependsOn.length)) {
    for (const r of list) note(r, await run(r));
  } else {
    const all = await Promise.all(list.map(run));
    list.forEach((r, i) => note(r, all[i]));
    if (!d.inOrder) responses.reverse(); // "in any order"
  }
  const l = responses.filter((a) => !dropped.includes(a.id.toLowerCase()));
  return { status: 200, body: { responses: l } };
}

module.exports = { batch };
