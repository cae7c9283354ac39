'use strict'
// real.js FILE... -- are these messages, one a line, by their schemas? A message of the type cordon-NAME.v1+jwt by
// docs/NAME.schema.json; the signature is not looked at. Says how many of each there were, and how the requests
// ended; 1: one is not by its schema, or has none.
const fs = require('fs')
const path = require('path')
const Ajv = require('../standin/node_modules/ajv/dist/2020')
const formats = require('../standin/node_modules/ajv-formats')

const kinds = new Map()
const kindOf = (typ) => {
  const name = /^cordon-([a-z]+)\.v1\+jwt$/.exec(typ)[1]
  if (!kinds.has(name)) {
    const ajv = new Ajv({ strict: true, strictRequired: false, strictTypes: false, allErrors: true })
    formats(ajv)
    const schema = fs.readFileSync(path.join(__dirname, `../../docs/${name}.schema.json`), 'utf8')
    kinds.set(name, { judge: ajv.compile(JSON.parse(schema)), count: 0 })
  }
  return kinds.get(name)
}
const part = (jws, n) => JSON.parse(Buffer.from(jws.split('.')[n], 'base64url').toString('utf8'))
const ends = new Set()
let bad = 0
for (const file of process.argv.slice(2)) {
  for (const jws of fs.readFileSync(file, 'latin1').split('\n').filter((l) => l !== '')) {
    const kind = kindOf(part(jws, 0).typ)
    const body = part(jws, 1)
    kind.count++
    if (body.outcome) ends.add(body.verdict ? body.verdict.verdict : body.outcome)
    if (kind.judge(body)) continue
    bad++
    console.log(`${file}: ${JSON.stringify(kind.judge.errors)}\n  ${JSON.stringify(body)}`)
  }
}
console.log([...kinds].sort().map(([name, k]) => `${k.count} ${name}`).join(', ') + `: ${[...ends].sort().join(' ')}`)
process.exit(bad > 0 ? 1 : 0)
