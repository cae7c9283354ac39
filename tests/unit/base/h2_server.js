// An HTTP/2 server that misbehaves to order, for test_http.c (only where node is there).
//
//   node h2_server.js DIR     certificates from DIR; prints "h2=PORT"; ends with its standard input
//
// /ok answers with the session's number and how many requests have come for ?name=. The first time:
// /refuse ends the stream with REFUSED_STREAM, /reset with INTERNAL_ERROR, /drop ends the connection,
// /goaway says that the connection takes no more after this one.
'use strict';
const http2 = require('http2');
const fs = require('fs');

const dir = process.argv[2];
const counts = new Map();
let sessions = 0;
const server = http2.createSecureServer({
  key: fs.readFileSync(dir + '/good.key'),
  cert: fs.readFileSync(dir + '/good.pem'),
});
server.on('session', (s) => { s.number = ++sessions; s.on('error', () => {}); });
server.on('sessionError', () => {});
server.on('stream', (stream, headers) => {
  const url = new URL(headers[':path'], 'https://localhost');
  const name = url.searchParams.get('name') || 'x';
  const n = (counts.get(name) || 0) + (url.pathname === '/seen' ? 0 : 1);
  counts.set(name, n);
  stream.on('error', () => {});
  if (n === 1 && url.pathname === '/refuse') {
    stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    return;
  }
  if (n === 1 && url.pathname === '/reset') {
    stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
    return;
  }
  if (n === 1 && url.pathname === '/drop') {
    stream.session.destroy();
    return;
  }
  if (n === 1 && url.pathname === '/goaway')
    stream.session.goaway(http2.constants.NGHTTP2_NO_ERROR, stream.id);
  const body = JSON.stringify({ n, session: stream.session.number });
  // A moment later, so that many are under way at once.
  setTimeout(() => {
    if (stream.destroyed) return;
    stream.respond({ ':status': 200, 'request-id': 'h2-' + n });
    stream.end(body);
  }, 20);
});
server.listen(0, '127.0.0.1', () => console.log('h2=' + server.address().port));
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
