'use strict'
// real.js FILE... -- are these messages, one a line, by the schemas? Requests and answers, each by its own; the
// signature is not looked at. Says how many of each there were, with which outcomes; 1: one is not by its schema.
const fs = require('fs')
const path = require('path')
const Ajv = require('../standin/node_modules/ajv/dist/2020')
const formats = require('../standin/node_modules/ajv-formats')

const compile = (file) => {
  const ajv = new Ajv({ strict: true, strictRequired: false, strictTypes: false, allErrors: true })
  formats(ajv)
  return ajv.compile(JSON.parse(fs.readFileSync(path.join(__dirname, '../../docs', file), 'utf8')))
}
const kinds = {
  'cordon-request.v1+jwt': { name: 'requests', judge: compile('request.schema.json'), count: 0 },
  'cordon-result.v1+jwt': { name: 'answers', judge: compile('result.schema.json'), count: 0 }
}
const part = (jws, n) => JSON.parse(Buffer.from(jws.split('.')[n], 'base64url').toString('utf8'))
const outcomes = new Set()
let bad = 0
for (const file of process.argv.slice(2)) {
  for (const jws of fs.readFileSync(file, 'latin1').split('\n').filter((l) => l !== '')) {
    const kind = kinds[part(jws, 0).typ]
    const body = part(jws, 1)
    kind.count++
    if (body.outcome) outcomes.add(body.verdict ? body.verdict.verdict : body.outcome)
    if (kind.judge(body)) continue
    bad++
    console.log(`${file}: ${JSON.stringify(kind.judge.errors)}\n  ${JSON.stringify(body)}`)
  }
}
console.log(Object.values(kinds).map((k) => `${k.count} ${k.name}`).join(', ') + `: ${[...outcomes].sort().join(' ')}`)
process.exit(bad > 0 ? 1 : 0)
