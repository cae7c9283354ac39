// defender.js -- Defender for Endpoint: machines, Live Response actions, the library; and the store
// of results, another host, where no token may go.
'use strict';
const crypto = require('crypto');
const { Refusal, one } = require('./odata');
const { parse, holds, uses, FilterError } = require('./filter');
const { bearer } = require('./tokens');
const { run } = require('./dcscript');
const { uuid } = require('./state');

const RESTRICTED = 'Restricted security operations';
const FINAL = ['Succeeded', 'Failed', 'TimeOut', 'Cancelled'];
const iso = (ms = Date.now()) => new Date(ms).toISOString().replace('Z', '1856Z'); // seven digits
const sha256 = (b) => crypto.createHash('sha256').update(b).digest('hex');
const pick = (o, keys) => Object.fromEntries(keys.map((k) => [k, o[k] === undefined ? null : o[k]]));

const SETTINGS = {
  liveResponse: true, // false: 403 DisabledFeature
  pendingMs: 50, // until a machine that is there begins
  runMs: 50, // and how long it takes at least
  listDelay: 0, // ms until a new action can be listed
  resultDelay: 0, // ms from the end until there is a link
  linkLife: 1800, // seconds
  linkHost: '', // another host in the link, with its port: not ours
  cancelRunning: true, // false: 400 for an action in progress
  limits: false, // ten starts and a hundred calls a minute
  sessions: 25, // at a time: 429
  pageSize: 10000,
  rawLineFeeds: true, // in the result's strings, as the service does it
  // What becomes of runs: '' as it is; error: the script ends with an error; crash: no result;
  // unsigned, hash: the sensor does not run it; timeout; noMarker, wrongNonce, twice, cutMarker:
  // the line is not as it should be; noLink: 404 for the result
  outcome: '',
};
const OUTCOMES = [
  '',
  'error',
  'crash',
  'unsigned',
  'hash',
  'timeout',
  'noMarker',
  'wrongNonce',
  'twice',
  'cutMarker',
  'noLink',
];
// How a machine is, besides what the service shows of it.
const MACHINE = {
  offline: false, // its actions stay Pending
  busy: false, // somebody's session in the portal
  noGroup: false, // no remediation level: 403 DisallowedOperation
  unsupported: '', // 'os', 'client'
};

class Defender {
  constructor(file, tenant) {
    this.file = file || {};
    this.tenant = tenant;
    this.actions = [];
    this.reset();
  }

  reset() {
    for (const a of this.actions) clearTimeout(a.timer);
    const f = structuredClone(this.file);
    this.settings = { ...SETTINGS, ...(f.settings || {}) };
    this.machines = new Map();
    this.actions = [];
    this.library = new Map(); // lower-case name -> {fileName, ..., bytes}
    this.blobs = new Map(); // id -> {bytes, sig, until}
    this.starts = [];
    this.calls = [];
    this.epoch = (this.epoch || 0) + 1; // runs of before are nobody's
    for (const m of f.machines || []) this.addMachine(m);
    for (const l of f.library || []) this.addFile(l.fileName, Buffer.from(l.text || ''));
  }

  addMachine(given) {
    const g = structuredClone(given);
    const state = pick({ ...MACHINE, ...g }, Object.keys(MACHINE));
    for (const k of Object.keys(MACHINE)) delete g[k];
    const m = {
      id: g.id || sha256(g.computerDnsName || uuid()).slice(0, 40),
      computerDnsName: null,
      firstSeen: iso(Date.now() - 864e5 * 300),
      lastSeen: iso(Date.now() - 36e5),
      osPlatform: 'WindowsServer2022',
      version: '21H2',
      osProcessor: 'x64',
      osArchitecture: '64-bit',
      osBuild: 20348,
      lastIpAddress: '10.10.0.11',
      lastExternalIpAddress: null,
      healthStatus: 'Active',
      onboardingStatus: 'Onboarded',
      deviceValue: 'High',
      rbacGroupId: 140,
      rbacGroupName: 'Tier0',
      riskScore: 'None',
      exposureLevel: 'Low',
      isAadJoined: false,
      aadDeviceId: null,
      machineTags: [],
      ipAddresses: [],
      ...g,
    };
    this.machines.set(m.id, { shown: m, state });
    return m;
  }

  machine(key) {
    // by id, or by name; for orders
    const k = String(key).toLowerCase();
    return (
      this.machines.get(k) ||
      [...this.machines.values()].find((m) => (m.shown.computerDnsName || '').toLowerCase() === k)
    );
  }

  addFile(fileName, bytes, more = {}) {
    const old = this.library.get(fileName.toLowerCase());
    const f = {
      fileName,
      sha256: sha256(bytes),
      description: null,
      creationTime: old ? old.creationTime : iso(),
      lastUpdatedTime: iso(),
      createdBy: 'cordon',
      hasParameters: false,
      parametersDescription: null,
      ...more,
    };
    this.library.set(fileName.toLowerCase(), { ...f, bytes });
    return f;
  }

  // --- the life of an action ---
  schedule(a) {
    // a machine that is away keeps it Pending
    clearTimeout(a.timer);
    const m = this.machines.get(a.machineId);
    if (a.status !== 'Pending' || !m || m.state.offline) return;
    a.timer = setTimeout(() => this.begin(a), this.settings.pendingMs);
    a.timer.unref();
  }

  touch(a, status) {
    a.status = status;
    a.lastUpdateDateTimeUtc = iso();
  }

  async begin(a) {
    if (a.status !== 'Pending') return;
    const { epoch } = this;
    const { outcome } = this.settings;
    const c = a.commands[0];
    this.touch(a, 'InProgress');
    c.startTime = iso();
    const from = Date.now();
    let out = null;
    if (outcome === 'unsigned')
      c.errors.push('The script is not signed, and the execution of unsigned scripts is off.');
    else if (outcome === 'hash') out = { exit_code: 323, script_output: '', script_errors: 'hash mismatch' };
    else if (outcome === 'error')
      out = {
        exit_code: 1,
        script_output: '',
        script_errors: 'At line:1 char:1\r\nCannot validate argument on parameter Payload.',
      };
    else if (outcome !== 'timeout') out = await run(this, a, c);
    const left = from + this.settings.runMs - Date.now();
    if (left > 0)
      await new Promise((done) => {
        setTimeout(done, left).unref();
      });
    if (epoch === this.epoch) this.end(a, c, outcome, out);
  }

  end(a, c, outcome, out) {
    c.endTime = iso();
    if (out && outcome !== 'crash') this.keepResult(a, out);
    const failed = ['unsigned', 'hash', 'error', 'crash'].includes(outcome);
    c.commandStatus = failed || outcome === 'timeout' ? 'Failed' : 'Completed';
    if (a.status !== 'InProgress') return; // cancelled; the script went on all the same
    this.touch(a, outcome === 'timeout' ? 'TimeOut' : failed ? 'Failed' : 'Succeeded');
  }

  keepResult(a, out) {
    const name = a.commands[0].command.params.find((p) => p.key === 'ScriptName').value;
    let text = JSON.stringify({ script_name: name, ...out });
    if (this.settings.rawLineFeeds) text = text.replace(/\\r\\n/g, '\r\n');
    a.result = { text, from: Date.now() + this.settings.resultDelay };
  }

  shown(a) {
    const { timer, result, visibleAt, ...rest } = a;
    return rest;
  }
}

// --- answers ---
const BY_STATUS = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'ResourceNotFound',
  429: 'TooManyRequests',
  500: 'InternalServerError',
};
const CODES = [
  ...Object.values(BY_STATUS),
  'NotFound',
  'ODataError',
  'InvalidInput',
  'InvalidRequestBody',
  'MissingRequiredParameter',
  'ActiveRequestAlreadyExists',
  'OsPlatformNotSupported',
  'ClientVersionNotSupported',
  'DisabledFeature',
  'DisallowedOperation',
];
function error(ctx, status, code, message, headers = {}) {
  return {
    status,
    headers: { ...(status === 429 && !headers['Retry-After'] ? { 'Retry-After': '1' } : {}), ...headers },
    body: {
      error: {
        code: CODES.includes(code) ? code : BY_STATUS[status] || 'InternalServerError',
        message: message || '',
        target: ctx.requestId,
      },
    },
  };
}
const refuse = (status, code, message, headers) => {
  throw new Refusal(status, code, message, headers);
};

const NEEDS = {
  listMachines: ['Machine.Read.All', 'Machine.ReadWrite.All'],
  runLiveResponse: ['Machine.LiveResponse'],
  cancelMachineAction: ['Machine.LiveResponse'],
  listLibraryFiles: ['Library.Manage'],
};
NEEDS.getMachine = NEEDS.listMachineActions = NEEDS.getMachineAction = NEEDS.listMachines;
NEEDS.getLiveResponseResultDownloadLink = NEEDS.listMachines;
NEEDS.uploadLibraryFile = NEEDS.deleteLibraryFile = NEEDS.listLibraryFiles;

function authorize(ctx) {
  bearer(ctx, ctx.service.audience);
  const need = NEEDS[ctx.op];
  if (!need.some((r) => ctx.claims.roles.includes(r)))
    refuse(403, 'Forbidden', 'The application does not have any of the required application permissions.');
  const d = ctx.defender;
  if (!d.settings.limits) return;
  const starts = ctx.op === 'runLiveResponse';
  const list = starts ? d.starts : d.calls;
  const most = starts ? 10 : 100;
  while (list.length && list[0] <= Date.now() - 60000) list.shift();
  if (list.length >= most) {
    const s = Math.ceil((list[0] + 60000 - Date.now()) / 1000);
    refuse(429, 'TooManyRequests', 'Too many requests.', { 'Retry-After': String(s) });
  }
  list.push(Date.now());
}

// --- lists ---
const MACHINE_FILTER = [
  'computerDnsName',
  'id',
  'version',
  'deviceValue',
  'aadDeviceId',
  'machineTags',
  'lastSeen',
  'exposureLevel',
  'onboardingStatus',
  'lastIpAddress',
  'healthStatus',
  'osPlatform',
  'riskScore',
  'rbacGroupId',
];
const ACTION_FILTER = ['status', 'machineId', 'type', 'requestor', 'creationDateTimeUtc'];

function listed(ctx, items, may, type) {
  const text = one(ctx, '$filter');
  let l = items;
  if (text !== undefined) {
    let tree;
    try {
      tree = parse(text);
    } catch (e) {
      if (!(e instanceof FilterError)) throw e;
      refuse(400, 'ODataError', `Invalid OData URI query: ${e.message}`);
    }
    for (const u of uses(tree))
      if (!may.includes(u.path)) refuse(400, 'ODataError', `Invalid OData URI query: ${u.path}`);
    l = l.filter((x) => holds(tree, x, true)); // names are stored, and compared, in lower case
  }
  const from = Number(one(ctx, '$skip') || 0);
  const top = Math.min(Number(one(ctx, '$top') || ctx.defender.settings.pageSize), 10000);
  const body = { '@odata.context': `${ctx.root}/api/$metadata#${type}` };
  if (from + top < l.length) {
    const q = [...ctx.query]
      .filter(([k]) => k !== '$skip')
      .map(([k, v]) => `${k}=${encodeURIComponent(v[0])}`);
    body['@odata.nextLink'] = `${ctx.root}${ctx.path}?${[...q, `$skip=${from + top}`].join('&')}`;
  }
  body.value = l.slice(from, from + top);
  return { status: 200, body };
}

function machineOf(ctx) {
  const m = ctx.defender.machine(ctx.params.id);
  if (!m) refuse(404, 'ResourceNotFound', `Machine ${ctx.params.id} was not found`);
  return m;
}
function actionOf(ctx) {
  const a = ctx.defender.actions.find((x) => x.id === ctx.params.id);
  if (!a) refuse(404, 'ResourceNotFound', `Machine action ${ctx.params.id} was not found`);
  return a;
}

// --- running ---
function runLiveResponse(ctx) {
  const d = ctx.defender;
  const m = machineOf(ctx);
  const { Commands: commands, Comment: comment } = ctx.json;
  if (!d.settings.liveResponse) refuse(403, 'DisabledFeature', "Tenant feature isn't enabled.");
  if (m.state.unsupported === 'os')
    refuse(
      400,
      'OsPlatformNotSupported',
      "OS Platform Windows Server 2008 R2 isn't supported for this action.",
    );
  if (m.state.unsupported === 'client')
    refuse(
      400,
      'ClientVersionNotSupported',
      'LiveResponse is supported on client version 10.8049 and above.',
    );
  if (m.shown.machineTags.includes(RESTRICTED))
    refuse(403, 'DisallowedOperation', "The operation isn't allowed on this device.");
  if (m.state.noGroup)
    refuse(
      403,
      'DisallowedOperation',
      "This device has no automation level assigned to it. You'll need to at least enable the minimum Remediation Level for a given Device Group.",
    );
  if (commands.length !== 1 || commands[0].type !== 'RunScript')
    ctx.violate(['one RunScript, and nothing else']);
  const param = (key) => (commands[0].params.find((p) => p.key === key) || {}).value;
  if (!d.library.has(String(param('ScriptName')).toLowerCase()))
    refuse(404, 'ResourceNotFound', `File ${param('ScriptName')} was not found in the library`);
  if (!/^-Payload c1_[A-Za-z0-9_-]+$/.test(param('Args') || ''))
    ctx.violate(['Args are PowerShell: -Payload c1_ and base64url, and nothing else']);
  if (m.state.busy || d.actions.some((a) => a.machineId === m.shown.id && !FINAL.includes(a.status)))
    refuse(400, 'ActiveRequestAlreadyExists', 'Action is already in progress');
  if (d.actions.filter((a) => !FINAL.includes(a.status)).length >= d.settings.sessions)
    refuse(429, 'TooManyRequests', 'Too many live response sessions.');
  const a = {
    id: uuid(),
    type: 'LiveResponse',
    title: null,
    requestor: ctx.by.app.displayName,
    requestorComment: comment,
    status: 'Pending',
    machineId: m.shown.id,
    computerDnsName: m.shown.computerDnsName,
    creationDateTimeUtc: iso(),
    lastUpdateDateTimeUtc: iso(),
    cancellationRequestor: null,
    cancellationComment: null,
    cancellationDateTimeUtc: null,
    errorHResult: 0,
    scope: null,
    externalId: null,
    requestSource: 'PublicApi',
    relatedFileInfo: null,
    commands: commands.map((command, index) => ({
      index,
      startTime: null,
      endTime: null,
      commandStatus: 'Created',
      errors: [],
      command,
    })),
    troubleshootInfo: null,
    visibleAt: Date.now() + d.settings.listDelay,
  };
  d.actions.push(a);
  d.schedule(a);
  return {
    status: 201,
    body: {
      '@odata.context': `${ctx.root}/api/$metadata#MachineActions/$entity`,
      ...structuredClone(d.shown(a)),
    },
  };
}

function cancelMachineAction(ctx) {
  const d = ctx.defender;
  const a = actionOf(ctx);
  if (FINAL.includes(a.status)) refuse(400, 'BadRequest', `Action is in status ${a.status}`);
  if (a.status === 'InProgress' && !d.settings.cancelRunning)
    refuse(400, 'BadRequest', 'Action in progress cannot be cancelled');
  if (!ctx.fault || ctx.fault.stick !== false) {
    // What runs on the machine goes on.
    clearTimeout(a.timer);
    d.touch(a, 'Cancelled');
    Object.assign(a, {
      cancellationRequestor: ctx.by.app.displayName,
      cancellationComment: ctx.json.Comment,
      cancellationDateTimeUtc: iso(),
    });
  }
  return { status: 200, body: d.shown(a) };
}

function getLink(ctx) {
  const d = ctx.defender;
  const a = actionOf(ctx);
  if (ctx.params.index !== '0' || !a.result || a.result.from > Date.now() || d.settings.outcome === 'noLink')
    refuse(404, 'ResourceNotFound', 'The result was not found');
  const id = uuid();
  const sig = crypto.randomBytes(32).toString('base64');
  const until = Date.now() + d.settings.linkLife * 1000;
  d.blobs.set(id, { text: a.result.text, sig, until });
  const host = d.settings.linkHost || ctx.standin.blobHost;
  return {
    status: 200,
    body: {
      '@odata.context': `${ctx.root}/api/$metadata#Edm.String`,
      value: `https://${host}/investigation-actions-data/${ctx.tenant.id}/CustomPlaybookCommandOutput/${id}?se=${encodeURIComponent(new Date(until).toISOString())}&sp=r&sv=2019-07-07&sr=b&sig=${encodeURIComponent(sig)}`,
    },
  };
}

// --- the library ---
function uploadLibraryFile(ctx) {
  const d = ctx.defender;
  const { file } = ctx;
  if (!file || !/^[A-Za-z0-9._-]{1,255}$/.test(file.name)) refuse(400, 'InvalidRequestBody', 'file');
  const old = d.library.get(file.name.toLowerCase());
  if (old && ctx.form.OverrideIfExists !== 'true') refuse(400, 'BadRequest', 'File already exists');
  const f = d.addFile(file.name, file.bytes, {
    description: ctx.form.Description || null,
    hasParameters: ctx.form.HasParameters === 'true',
    parametersDescription: ctx.form.ParametersDescription || null,
  });
  return { status: 200, body: f };
}

const HANDLERS = {
  listMachines: (ctx) =>
    listed(
      ctx,
      [...ctx.defender.machines.values()].map((m) => m.shown),
      MACHINE_FILTER,
      'Machines',
    ),
  getMachine: (ctx) => ({ status: 200, body: machineOf(ctx).shown }),
  runLiveResponse,
  listMachineActions: (ctx) =>
    listed(
      ctx,
      ctx.defender.actions.filter((a) => a.visibleAt <= Date.now()).map((a) => ctx.defender.shown(a)),
      ACTION_FILTER,
      'MachineActions',
    ),
  getMachineAction: (ctx) => ({ status: 200, body: ctx.defender.shown(actionOf(ctx)) }),
  cancelMachineAction,
  getLiveResponseResultDownloadLink: getLink,
  listLibraryFiles: (ctx) => ({
    status: 200,
    body: { value: [...ctx.defender.library.values()].map(({ bytes, ...f }) => f) },
  }),
  uploadLibraryFile,
  deleteLibraryFile: (ctx) => {
    if (!ctx.defender.library.delete(ctx.params.fileName.toLowerCase()))
      refuse(404, 'ResourceNotFound', 'File was not found');
    return { status: 204 };
  },
};
function handle(ctx) {
  if (!HANDLERS[ctx.op]) refuse(501, 'InternalServerError', `the stand-in does not play ${ctx.op}`);
  return HANDLERS[ctx.op](ctx);
}

// --- the store of results ---
const blob = {
  headers: () => ({ 'x-ms-version': '2019-07-07' }),
  authorize: () => {},
  headerRules: (ctx) =>
    ctx.headers.authorization === undefined ? [] : ['a token was sent to the store of results'],
  error: (ctx, status, code, message, headers = {}) => ({
    status,
    headers: { 'Content-Type': 'application/xml', ...headers },
    raw: `\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`,
  }),
  handle: (ctx) => {
    const b = ctx.defender.blobs.get(ctx.params.blob);
    if (!b) refuse(404, 'BlobNotFound', 'The specified blob does not exist.');
    if (one(ctx, 'sig') !== b.sig || b.until <= Date.now())
      refuse(403, 'AuthenticationFailed', 'Server failed to authenticate the request.');
    return { status: 200, headers: { 'Content-Type': 'application/octet-stream' }, raw: `\ufeff${b.text}` };
  },
};

// --- orders ---
function orders(d, { set, wrong, many }) {
  const aMachine = (key) => {
    const m = d.machine(decodeURIComponent(key));
    if (!m) throw wrong(`no machine ${key}`, 404);
    return m;
  };
  const all = (m) => ({ ...m.shown, ...m.state });
  return {
    'GET /defender/settings': () => d.settings,
    'PATCH /defender/settings': (b) => {
      if (b.outcome !== undefined && !OUTCOMES.includes(b.outcome)) throw wrong(`no outcome ${b.outcome}`);
      return set(d.settings, b);
    },
    'GET /defender/machines': () => [...d.machines.values()].map(all),
    'POST /defender/machines': (b) => {
      const l = many(b).map((m) => d.addMachine(m));
      return Array.isArray(b) ? l : l[0];
    },
    'GET /defender/machines/*': (b, k) => all(aMachine(k)),
    'PATCH /defender/machines/*': (b, k) => {
      const m = aMachine(k);
      for (const [name, v] of Object.entries(b)) {
        if (name in m.state) m.state[name] = v;
        else if (name in m.shown) m.shown[name] = v;
        else throw wrong(`a machine has no ${name}`);
      }
      for (const a of d.actions) if (a.machineId === m.shown.id) d.schedule(a);
      return all(m);
    },
    'DELETE /defender/machines/*': (b, k) => {
      d.machines.delete(aMachine(k).shown.id);
      return {};
    },
    'GET /defender/actions': () => d.actions.map((a) => d.shown(a)),
    'GET /defender/library': () =>
      [...d.library.values()].map(({ bytes, ...f }) => ({ ...f, text: bytes.toString('utf8') })),
    'POST /defender/library': (b) => {
      if (typeof b.fileName !== 'string' || typeof b.text !== 'string') throw wrong('{"fileName", "text"}');
      return d.addFile(b.fileName, Buffer.from(b.text));
    },
    'DELETE /defender/library': () => {
      d.library.clear();
      return {};
    },
  };
}

module.exports = { Defender, error, authorize, handle, blob, orders };
