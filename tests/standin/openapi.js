// tests/standin/openapi.js -- is this request as the description of the service says?
//
// Unknown paths, methods, query parameters and members of bodies are violations, and so is what is
// missing. The descriptions are OpenAPI 3.0: `nullable` is mapped to what a JSON schema knows.
import fs from 'node:fs'
import Ajv from 'ajv'
import formats from 'ajv-formats'

const strict = (s, doc, seen = new Map()) => {
  if (Array.isArray(s)) return s.map((x) => strict(x, doc, seen))
  if (s === null || typeof s !== 'object') return s
  if (s.$ref) {
    if (!seen.has(s.$ref)) {
      seen.set(s.$ref, {})
      Object.assign(seen.get(s.$ref), strict(s.$ref.slice(2).split('/').reduce((o, k) => o[k.replace(/~1/g, '/').replace(/~0/g, '~')], doc), doc, seen))
    }
    return seen.get(s.$ref)
  }
  const out = {}
  for (const [k, v] of Object.entries(s)) if (!['example', 'examples', 'xml', 'discriminator', 'nullable', 'description'].includes(k) && !k.startsWith('x-')) out[k] = strict(v, doc, seen)
  if (s.nullable && typeof s.type === 'string') out.type = [s.type, 'null']
  if (s.type === 'object' && s.properties && s.additionalProperties === undefined && !s.allOf) out.additionalProperties = false
  return out
}

export class Description {
  constructor(file) {
    this.doc = JSON.parse(fs.readFileSync(file, 'utf8'))
    this.ajv = formats(new Ajv({ strict: false, allErrors: true, validateFormats: true }))
    this.routes = Object.entries(this.doc.paths).map(([path, item]) => ({
      path, item, literal: path.replace(/\{[^}]*\}/g, '').length,
      re: new RegExp('^' + path.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{[^}]*\}/g, '([^/]+)') + '$'),
    })).sort((a, b) => b.literal - a.literal)
    this.compiled = new Map()
  }
  resolve(o) { return o && o.$ref ? o.$ref.slice(2).split('/').reduce((x, k) => x[k.replace(/~1/g, '/')], this.doc) : o }
  // Returns a list of what is wrong; [] where all is well.
  check(method, path, query, headers, body) {
    const routes = this.routes.filter((r) => r.re.test(path))
    if (routes.length === 0) return [`no such path: ${path}`]
    const route = routes.find((r) => r.item[method.toLowerCase()])
    if (!route) return [`${method} is not for ${path}`]
    const op = route.item[method.toLowerCase()]
    const params = [...(route.item.parameters || []), ...(op.parameters || [])].map((p) => this.resolve(p))
    const wrong = []
    for (const name of query.keys()) if (!params.some((p) => p.in === 'query' && p.name === name)) wrong.push(`query parameter ${name} is not of ${method} ${route.path}`)
    for (const p of params) {
      if (p.in === 'query' && p.required && !query.has(p.name)) wrong.push(`query parameter ${p.name} is missing`)
      if (p.in === 'header' && p.required && !(p.name.toLowerCase() in headers) && !/^(authorization|content-type)$/i.test(p.name)) wrong.push(`header ${p.name} is missing`)
    }
    const rb = this.resolve(op.requestBody)
    if (!rb) { if (body !== undefined && body !== '' && JSON.stringify(body) !== '{}') wrong.push('a body where none belongs') } else {
      const type = (headers['content-type'] || '').split(';')[0].trim()
      const media = rb.content && (rb.content[type] || (type === '' && !rb.required ? { schema: {} } : null))
      if (body === undefined || body === '') { if (rb.required) wrong.push('the body is missing') } else if (!media) wrong.push(`content type '${type}' is not of ${route.path}`)
      else {
        if (!this.compiled.has(media)) this.compiled.set(media, this.ajv.compile(strict(media.schema || {}, this.doc)))
        const v = this.compiled.get(media)
        if (!v(body)) wrong.push(...v.errors.map((e) => `body${e.instancePath} ${e.message} ${JSON.stringify(e.params)}`))
      }
    }
    return wrong
  }
}
