// serve.js -- starts Azurite's queue service in this process and says when it listens. See azurite.
'use strict'
const { execFileSync } = require('node:child_process')
const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { parseArgs } = require('node:util')

const { values: o, positionals } = parseArgs({
  allowPositionals: true,
  options: { dir: { type: 'string' }, port: { type: 'string', default: '0' }, plain: { type: 'boolean' }, keep: { type: 'boolean' } }
})
if (positionals.join() !== 'serve' || !o.dir) {
  console.error('azurite serve --dir DIR [--port N] [--plain] [--keep]')
  process.exit(64)
}
const dir = path.resolve(o.dir)
const at = name => path.join(dir, name)
const put = (name, text) => { // whole, or not there
  fs.writeFileSync(at(name + '.tmp'), text, { mode: 0o600 })
  fs.renameSync(at(name + '.tmp'), at(name))
}
const account = 'cordontest'

fs.mkdirSync(dir, { recursive: true, mode: 0o700 })
fs.mkdirSync(at('state'), { recursive: true, mode: 0o700 })
for (const f of ['ready', 'pid']) fs.rmSync(at(f), { force: true })
if (!fs.existsSync(at('key'))) put('key', randomBytes(64).toString('base64') + '\n')
const key = fs.readFileSync(at('key'), 'utf8').trim()
if (!o.plain && !fs.existsSync(at('ca.pem'))) {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30',
    '-subj', '/CN=azurite for tests', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', at('tls.key'), '-out', at('ca.pem')], { stdio: 'ignore' })
}

// An account of our own: the one that all documents print must not be what works.
process.env.AZURITE_ACCOUNTS = `${account}:${key}`
process.argv = [process.argv[0], 'azurite-queue', '--disableTelemetry', '--silent', '--queueHost', '127.0.0.1', '--queuePort', o.port,
  ...(o.keep ? ['--location', at('state')] : ['--inMemoryPersistence', '--extentMemoryLimit', '256']),
  ...(o.plain ? [] : ['--cert', at('ca.pem'), '--key', at('tls.key'), '--oauth', 'basic'])]
process.chdir(at('state')) // what it writes beside itself goes there

const log = console.log
console.log = (...words) => {
  log(...words)
  const m = /successfully listens on (https?:\/\/127\.0\.0\.1:(\d+))/.exec(words.join(' '))
  if (!m) return
  put('env', `AZURITE_URL=${m[1]}/${account}\nAZURITE_PORT=${m[2]}\nAZURITE_ACCOUNT=${account}\nAZURITE_KEY='${at('key')}'\nAZURITE_CA='${at('ca.pem')}'\n`)
  put('pid', `${process.pid}\n`)
  put('ready', '')
}
process.on('exit', () => { for (const f of ['ready', 'pid']) fs.rmSync(at(f), { force: true }) })
require('azurite/dist/src/queue/main.js')
