"""The EventLog resource: Subscribe, Pull, Unsubscribe (winrm.md 4), and their refusals (10)."""
import re
import time
import uuid

import events
import log
import query
import soap
from dc import known
from soap import Fault, Raw, el, name

PULL_MODE = 'http://schemas.dmtf.org/wbem/wsman/1/wsman/Pull'
DIALECT = 'http://schemas.microsoft.com/win/2004/08/events/eventquery'
EARLIEST = 'http://schemas.dmtf.org/wbem/wsman/1/wsman/bookmark/earliest'
OPTIONS = {'SubscriptionName', 'ContentFormat', 'ReadExistingEvents', 'IgnoreChannelError', 'CDATA', 'Compression'}
SUBSCRIBE = [name(n) for n in ('e:EndTo', 'e:Delivery', 'e:Expires', 'w:Filter', 'w:Bookmark', 'w:SendBookmarks')]
DELIVERY = [name(n) for n in ('e:NotifyTo', 'w:Heartbeats', 'w:ConnectionRetry', 'w:Locale', 'p:DataLocale', 'w:ContentEncoding')]
PULL = [name(n) for n in ('n:EnumerationContext', 'n:MaxTime', 'n:MaxElements', 'n:MaxCharacters')]
GONE, NO_CALL, TWICE = 2150858760, 2150858762, 2150858758


def in_order(children, order, where):
    """Children are of these, none twice, in this order."""
    at = [order.index(c.tag) if c.tag in order else -1 for c in children]
    if -1 in at or at != sorted(set(at)):
        raise Fault(soap.SCHEMA, f'in {where}: {[c.tag.rpartition("}")[2] for c in children]}')


class Subscription:
    def __init__(self, user, queries):
        self.id, self.user, self.queries = str(uuid.uuid4()).upper(), user, queries
        self.at = {}                # channel: the last record that was looked at
        self.heartbeat, self.bookmarks, self.rendered = None, False, False
        self.pulling, self.first = False, True
        self.context, self.deadline = None, None

    def renew(self, idle_s):
        """A new context; the next call has to come before the deadline."""
        self.context = f'uuid:{str(uuid.uuid4()).upper()}'
        self.renew_deadline(idle_s)

    def renew_deadline(self, idle_s):
        limit = min(idle_s, self.heartbeat) if self.heartbeat else idle_s
        self.deadline = time.monotonic() + limit


class EventLog:
    OPERATIONS = {'Subscribe', 'Pull', 'Unsubscribe'}

    def __init__(self, dc, records):
        self.dc, self.log = dc, records
        self.reset()

    def reset(self):
        self.open = {}              # context: Subscription
        self.closed = {}            # context: the code of why
        self.ended = []             # what became of each: for tests

    # --- Subscribe ---

    def subscribe(self, env, conn, _how):
        with self.dc.lock:
            self.sweep()
            s = self.dc.settings
            if not self.dc.allows(s['readers'], conn.user):
                raise Fault(soap.DENIED, honest=True)
            options = self.options(env)
            sub = env.element('e:Subscribe')
            in_order(sub, SUBSCRIBE, 'Subscribe')
            delivery = sub.find(name('e:Delivery'))
            if delivery is None:
                raise Fault(soap.SCHEMA, 'no Delivery')
            if delivery.get('Mode') != PULL_MODE:
                raise Fault(2150859007, f'mode {delivery.get("Mode")!r}')
            in_order(delivery, DELIVERY, 'Delivery')
            encoding = delivery.findtext(name('w:ContentEncoding'), 'UTF-8')
            if encoding.upper() not in ('UTF-8', 'UTF-16'):
                raise Fault(soap.SCHEMA, f'ContentEncoding {encoding}')
            expires = sub.findtext(name('e:Expires'))
            if expires is not None and soap.seconds(expires) is None and query.when(expires) is None:
                raise Fault(2150858783, f'Expires {expires!r}')
            new = Subscription(conn.user, self.read_filter(sub.find(name('w:Filter')), options, conn))
            heart = delivery.findtext(name('w:Heartbeats'))
            if heart is not None:
                new.heartbeat = soap.seconds(heart)
                if not new.heartbeat:
                    raise Fault(2150858916, f'Heartbeats {heart!r}')
            new.at = self.start(sub.find(name('w:Bookmark')), options, {c for c, _, _ in new.queries})
            new.bookmarks = sub.find(name('w:SendBookmarks')) is not None
            new.rendered = options.get('ContentFormat') == 'RenderedText'
            if sum(1 for o in self.open.values() if o.user == conn.user) >= s['operations_per_user']:
                raise Fault(2150859240, honest=True)
            new.renew(s['enumeration_timeout_ms'] / 1000)
            self.open[new.context] = new
            return [], [el('e:SubscribeResponse',
                           el('e:SubscriptionManager', el('a:Address', conn_address(conn)),
                              el('a:ReferenceProperties', el('w:ResourceURI', env.resource), el('e:Identifier', new.id))),
                           el('e:Expires', 'PT0.000S'), el('n:EnumerationContext', new.context))]

    def options(self, env):
        options = env.options()
        for n, value in options.items():
            if n not in OPTIONS:
                raise Fault(2150858809, f'option {n}')
            if n in ('CDATA', 'Compression'):
                raise Fault(2150858809, f'option {n} is not played')
            if n == 'ContentFormat' and value not in ('Raw', 'RenderedText'):
                raise Fault(2150858809, f'ContentFormat {value}')
        if 'IgnoreChannelError' in options:
            self.dc.violation('IgnoreChannelError: a channel that refuses would look like a quiet one')
        if env.selectors():
            raise Fault(2150858813, 'selectors')
        return options

    def read_filter(self, f, options, conn):
        """[(channel, predicate, suppresses)]"""
        if f is None:
            raise Fault(2150859015, 'no Filter')
        if f.get('Dialect') != DIALECT:
            raise Fault(2150859015, f'dialect {f.get("Dialect")!r}')
        form, top = 'xml', list(f)
        if not top:
            form = 'text'
            try:
                top = [soap.parse(f.text or '')]
            except Fault as e:
                raise Fault(soap.BAD_QUERY_XML, e.why) from e
        if form not in self.dc.settings['filter_forms']:
            raise Fault(soap.BAD_QUERY_XML, f'a query as {form}', honest=True)
        if len(top) != 1 or top[0].tag != 'QueryList':
            raise Fault(soap.BAD_QUERY_XML, f'{[t.tag for t in top]} is no QueryList without a namespace')
        queries = []
        for q in top[0]:
            for select in q if q.tag == 'Query' else ():
                path = select.get('Path') or q.get('Path')
                if select.tag not in ('Select', 'Suppress') or not path:
                    raise Fault(soap.BAD_QUERY_XML, f'{select.tag} in Query')
                if path not in log.CHANNELS:
                    raise Fault(soap.NO_CHANNEL, f'channel {path!r}', outer=soap.NO_CHANNEL)
                try:
                    test = query.parse(select.text or '', self.dc.settings['filter_comparisons'])
                except query.Bad as e:
                    raise Fault(soap.BAD_QUERY, f'{e} in {select.text!r}') from e
                if not self.dc.allows(self.dc.settings['channel_readers'].get(path, []), conn.user):
                    if options.get('IgnoreChannelError', '').lower() == 'true':
                        continue
                    raise Fault(soap.DENIED, outer=soap.DENIED, honest=True)
                queries.append((path, test, select.tag == 'Suppress'))
            if q.tag != 'Query' or len(q) == 0:
                raise Fault(soap.BAD_QUERY_XML, f'{q.tag} in QueryList')
        return queries

    def start(self, bookmark, options, channels):
        """Channel: the record after which it begins."""
        if bookmark is None:
            if options.get('ReadExistingEvents', '').lower() == 'true':
                return {c: self.log.lost[c] for c in channels}
            return {c: self.log.last[c] for c in channels}
        if len(bookmark) == 0:
            if (bookmark.text or '').strip() != EARLIEST:
                raise Fault(2150858808, f'bookmark {bookmark.text!r}')
            return {c: self.log.lost[c] for c in channels}
        if [c.tag for c in bookmark] != ['BookmarkList']:
            raise Fault(2150858808, f'{bookmark[0].tag} is no BookmarkList without a namespace')
        at = {c: self.log.lost[c] for c in channels}    # a channel without one is told from its beginning
        for b in bookmark[0]:
            if b.tag != 'Bookmark' or not (b.get('RecordId') or '').isdigit() or not b.get('Channel'):
                raise Fault(2150858808, f'{b.tag} {b.attrib}')
            c, n = b.get('Channel'), int(b.get('RecordId'))
            if c not in channels:
                continue
            if n < self.log.lost[c]:
                raise Fault(soap.STALE, outer=soap.STALE, honest=True)
            if n > self.log.last[c] and self.dc.settings['ahead_is_stale']:
                raise Fault(15012, outer=15012, honest=True)
            at[c] = max(self.log.lost[c], n - self.dc.settings['duplicates'])
        return at

    # --- Pull ---

    def pull(self, env, conn, how):
        with self.dc.lock:
            self.sweep()
            s = self.dc.settings
            if not self.dc.allows(s['readers'], conn.user):
                raise Fault(soap.DENIED, honest=True)
            self.options(env)
            p = env.element('n:Pull')
            in_order(p, PULL, 'Pull')
            sub = self.of_context(p.findtext(name('n:EnumerationContext'), '').strip(), conn)
            wait_s = env.operation_s()
            max_time = p.findtext(name('n:MaxTime'))
            if max_time is not None:
                if soap.seconds(max_time) is None:
                    raise Fault(soap.SCHEMA, f'MaxTime {max_time!r}')
                wait_s = min(wait_s, soap.seconds(max_time))
            count = p.findtext(name('n:MaxElements'), '1').strip()
            if not count.isdigit() or int(count) == 0:
                raise Fault(soap.SCHEMA, f'MaxElements {count!r}')
            count = min(int(count), s['max_batch'], s['events_per_pull'] or 1 << 30)
            sub.pulling = True
            try:
                oversize = (how.get('events') or {}).get('oversize')
                batch = self.wait(sub, wait_s, count, 1 << 40 if oversize else env.max_envelope())
                if sub.context not in self.open:        # closed while we waited
                    raise self.gone(sub.context)
                return self.pulled(sub, batch, wait_s, how)
            finally:
                sub.pulling = False

    def wait(self, sub, wait_s, count, size):
        beats = sub.heartbeat is not None and sub.heartbeat <= wait_s
        until = time.monotonic() + (sub.heartbeat if beats else wait_s)
        while True:
            batch = self.collect(sub, count, size)
            left = until - time.monotonic()
            full = len(batch) >= count or not self.dc.settings['pull_fills']
            if (batch and full) or left <= 0 or sub.context not in self.open or (sub.first and self.dc.settings['forwarder']):
                return batch
            soon = self.log.next_visible()
            self.dc.lock.wait(left if soon is None else max(0.001, min(left, soon)))

    def collect(self, sub, count, size):
        """What matches, as much as fits."""
        batch, room, now = [], size - 3000, time.time()
        for channel in dict.fromkeys(c for c, _, _ in sub.queries):
            if sub.at[channel] < self.log.lost[channel]:
                self.close(sub, soap.STALE)
                raise Fault(soap.STALE, outer=soap.STALE, honest=True)
            tests = [(t, no) for c, t, no in sub.queries if c == channel]
            for r in self.log.after(channel, sub.at[channel]):
                if any(t(r.element, now) for t, no in tests if no) or not any(t(r.element, now) for t, no in tests if not no):
                    continue
                room -= len(r.text.encode())
                if room < 0 and not batch:
                    raise Fault(2150858823, f'event {r.number} does not fit', honest=True)
                if len(batch) == count or room < 0:
                    return batch
                batch.append((channel, r))
        return batch

    def pulled(self, sub, batch, wait_s, how):
        s, do = self.dc.settings, how.get('events') or {}
        if not batch and not (sub.first and s['forwarder']) and not (sub.heartbeat and sub.heartbeat <= wait_s):
            if s['timed_out_ends']:
                self.close(sub, GONE)
            else:
                sub.renew_deadline(s['enumeration_timeout_ms'] / 1000)
            raise Fault(soap.TIMED_OUT, honest=True)
        items = [self.item(r, sub) for _, r in batch]
        places = {c: r.number for c, r in batch}
        if do.get('swap'):
            items.reverse()
        if do.get('broken') == 'event' and items:
            items[0] = Raw(re.sub(r'<System>.*</System>', '<System><EventID>x</EventID></System>', items[0]))
        if do.get('broken') == 'envelope' and items:
            items[0] = Raw(items[0].replace('</System>', '', 1))
        if sub.first and s['forwarder']:
            items.insert(0, Raw(events.forwarder(self.dc.host, time.time())))
        if not do.get('repeat'):
            sub.at.update(places)
        sub.first = False
        del self.open[sub.context]
        self.closed[sub.context] = GONE
        sub.renew(s['enumeration_timeout_ms'] / 1000)
        self.open[sub.context] = sub
        body = [el('n:EnumerationContext', sub.context), el('n:Items', *items)]
        if do.get('end'):
            body.append(el('n:EndOfSequence'))
            self.close(sub, GONE)
        marks = list(places.items())
        headers = []
        if sub.bookmarks and places and not do.get('noBookmark'):
            headers = [el('w:Bookmark', el('BookmarkList', *(
                el('Bookmark', Channel=c, RecordId=n, IsCurrent='true' if c == marks[-1][0] else None) for c, n in marks)))]
        if how.get('forget'):
            self.close(sub, how['forget'] if how['forget'] is not True else GONE)
        return headers, [el('n:PullResponse', *body)]

    def item(self, r, sub):
        text = r.text
        if sub.rendered:
            text = text.replace('</Event>', "<RenderingInfo Culture='en-US'><Message>A user account was changed.</Message>"
                                            '<Level>Information</Level><Channel>Security</Channel></RenderingInfo></Event>')
        return Raw(text)

    # --- Unsubscribe ---

    def unsubscribe(self, env, conn, _how):
        with self.dc.lock:
            self.sweep()
            env.element('e:Unsubscribe')
            wanted = env.text_of('e:Identifier')
            if not wanted:
                raise Fault(soap.NO_HEADER, 'no Identifier')
            for sub in list(self.open.values()):
                if sub.id == wanted and sub.user == conn.user:
                    self.close(sub, GONE, how='unsubscribed')
                    self.dc.lock.notify_all()
                    return [], []
            raise Fault(GONE, f'no subscription {wanted}', subcode='e:InvalidMessage', honest=True)

    # --- what is open ---

    def of_context(self, context, conn):
        sub = self.open.get(context)
        if sub is None:
            raise self.gone(context)
        if sub.user != conn.user:
            raise Fault(soap.DENIED)
        if sub.pulling:
            raise Fault(TWICE)
        return sub

    def gone(self, context):
        """Never heard of, or used before: the client's mistake. Ended by us: not."""
        code = self.closed.get(context, GONE)
        ended = next((e for e in self.ended if e['context'] == context), None)
        return Fault(code, f'context {context}', honest=ended is not None and ended['how'] in ('ordered', 'unsubscribed', 'timeout'))

    def close(self, sub, code, how='ordered'):
        if self.open.pop(sub.context, None) is not None:
            self.closed[sub.context] = code
            self.ended.append({'id': sub.id, 'context': sub.context, 'user': sub.user, 'how': how, 'code': code})

    def sweep(self):
        """Close what nobody has called for too long."""
        now = time.monotonic()
        for sub in list(self.open.values()):
            if not sub.pulling and now > sub.deadline:
                self.close(sub, NO_CALL if sub.heartbeat else GONE, how='heartbeat' if sub.heartbeat else 'idle')

    # --- orders ---

    def expire(self, what):
        """{"code": n}: all subscriptions are over, also while a Pull waits."""
        known(what, {'code'}, 'expire')
        for sub in list(self.open.values()):
            self.close(sub, what.get('code', 2150858910))
        self.dc.lock.notify_all()

    def orders(self):
        return {**self.log.orders(), 'expire': self.expire}

    def subscriptions(self):
        self.sweep()
        return [{'id': s.id, 'context': s.context, 'user': s.user, 'at': s.at, 'heartbeat': s.heartbeat, 'pulling': s.pulling}
                for s in self.open.values()]

    def views(self):
        return {**self.log.views(), 'subscriptions': self.subscriptions, 'ended': lambda: self.ended}


def conn_address(conn):
    """The server's own idea of its address: not what the client called."""
    return f'http{"s" if conn.tls else ""}://{conn.dc.host.partition(".")[0]}:598{"6" if conn.tls else "5"}/wsman'
