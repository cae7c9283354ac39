"""The event log: records by channel, rising numbers, lost and delayed ones."""
import time

import events
from dc import Order, known

CHANNELS = ('Security', 'ForwardedEvents')


class Record:
    def __init__(self, number, element, text, visible):
        self.number, self.element, self.text, self.visible = number, element, text, visible


class Log:
    FIRST = 88000       # a log that has been written to before

    def __init__(self, dc):
        self.dc = dc
        self.records = {c: [] for c in CHANNELS}
        self.last = {c: self.FIRST for c in CHANNELS}
        self.lost = {c: self.FIRST for c in CHANNELS}      # the newest record that is there no more

    def add(self, what):
        """Numbers of the new records. what: a list of events, see events.FIELDS."""
        numbers = []
        for one in what:
            known(one, events.FIELDS, 'event')
            if one.get('id') not in (*events.SAMPLES, *events.LIKE):
                raise Order(f'no sample of event {one.get("id")}')
            channel = one.get('channel', 'Security')
            known([channel], CHANNELS, 'channel')
            number = self.last[channel] = one.get('record', self.last[channel] + 1)
            e = events.build(one, self.dc.host, number, time.time())
            visible = time.monotonic() + one.get('delay', self.dc.settings['event_delay_ms']) / 1000
            self.records[channel].append(Record(number, e, one.get('xml') or events.wire(e), visible))
            numbers.append(number)
        self.dc.lock.notify_all()
        return numbers

    def after(self, channel, number):
        """Visible records above a number, in order."""
        now = time.monotonic()
        return [r for r in self.records[channel] if r.number > number and r.visible <= now]

    def next_visible(self):
        """Seconds until a record becomes visible, None if none waits."""
        now = time.monotonic()
        waits = [r.visible - now for rs in self.records.values() for r in rs if r.visible > now]
        return min(waits) if waits else None

    # --- orders ---

    def roll(self, what):
        """{"keep": n, "channel"}: the log has rolled over, only the newest n are left."""
        known(what, {'keep', 'channel'}, 'roll')
        channel = what.get('channel', 'Security')
        keep = what.get('keep', 0)
        gone = self.records[channel][:len(self.records[channel]) - keep]
        self.records[channel] = self.records[channel][len(gone):]
        # with none left, at least one record above what was written has come and gone
        if keep == 0:
            self.last[channel] += 1
        self.lost[channel] = max(self.lost[channel], gone[-1].number if gone else 0, self.last[channel] if keep == 0 else 0)

    def restart(self, what):
        """Somebody has cleared the log, and numbers begin again."""
        known(what, {'channel'}, 'restart')
        channel = what.get('channel', 'Security')
        self.records[channel].clear()
        self.last[channel] = self.lost[channel] = 0

    def orders(self):
        return {'add': self.add, 'roll': self.roll, 'restart': self.restart}

    def views(self):
        return {'records': lambda: [{'channel': c, 'record': r.number, 'id': int(r.element.findtext(
            events.NS + 'System/' + events.NS + 'EventID')), 'xml': r.text} for c in CHANNELS for r in self.records[c]]}

    def reset(self):
        pass
