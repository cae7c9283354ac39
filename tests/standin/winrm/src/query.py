"""Event queries: the XPath subset of winrm.md 4.1, read by a grammar and evaluated on the event.

    path       = ('*' | 'Event') { '[' expr ']' }
    expr       = and { 'or' and }          and = comparison { 'and' comparison }
    comparison = '(' expr ')' | operand [ ('=' | '!=' | '<' | '<=' | '>' | '>=') literal ]
    operand    = '@' NAME | 'timediff(@SystemTime)' | 'band(' NAME ',' NUMBER ')' | step { '/' step }
    step       = NAME { '[' expr ']' }

A comparison is true where it is so for any of the nodes, as in XPath.
"""
import datetime
import re

EVENT = '{http://schemas.microsoft.com/win/2004/08/events/event}'
TOKEN = re.compile(r"""\s*(?:(?P<number>0x[0-9A-Fa-f]+|\d+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<text>'[^']*'|"[^"]*")|"""
                   r"""(?P<sign><=|>=|!=|[=<>()\[\]@*/,]))""")


class Bad(Exception):
    """No query of ours: 15001."""


def when(text):
    """An instant of ISO 8601 in seconds, or None."""
    m = re.match(r'(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z?\Z', text)
    if m is None:
        return None
    t = datetime.datetime.fromisoformat(m[1] + '+00:00').timestamp()
    return t + float(m[2] or 0)


class Parser:
    def __init__(self, text):
        self.tokens, at = [], 0
        text = text.rstrip()
        while at < len(text):
            m = TOKEN.match(text, at)
            if m is None:
                raise Bad(f'at {text[at:at + 20]!r}')
            self.tokens.append((m.lastgroup, m[m.lastgroup]))
            at = m.end()
        self.at, self.comparisons = 0, 0

    def peek(self):
        return self.tokens[self.at][1] if self.at < len(self.tokens) else None

    def take(self, *wanted, kind=None):
        if self.at == len(self.tokens):
            raise Bad('ends too soon')
        k, v = self.tokens[self.at]
        if (wanted and v not in wanted) or (kind and k != kind):
            raise Bad(f'{v!r} where {wanted or kind} is wanted')
        self.at += 1
        return v

    def path(self):
        self.take('*', 'Event')
        conditions = self.conditions()
        if self.at != len(self.tokens):
            raise Bad(f'{self.peek()!r} after the end')
        return lambda e, now: all(c(e, now) for c in conditions)

    def conditions(self):
        out = []
        while self.peek() == '[':
            self.take('[')
            out.append(self.expr())
            self.take(']')
        return out

    def expr(self):
        parts = [self.conjunction()]
        while self.peek() == 'or':
            self.take('or')
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else lambda e, now: any(p(e, now) for p in parts)

    def conjunction(self):
        parts = [self.comparison()]
        while self.peek() == 'and':
            self.take('and')
            parts.append(self.comparison())
        return parts[0] if len(parts) == 1 else lambda e, now: all(p(e, now) for p in parts)

    def comparison(self):
        if self.peek() == '(':
            self.take('(')
            inner = self.expr()
            self.take(')')
            return inner
        values = self.operand()
        self.comparisons += 1
        if self.peek() not in ('=', '!=', '<', '<=', '>', '>='):
            return lambda e, now: bool(values(e, now))
        sign = self.take()
        kind, literal = self.tokens[self.at] if self.at < len(self.tokens) else (None, None)
        if kind not in ('number', 'text'):
            raise Bad(f'{sign} {literal!r}: no literal')
        self.take()
        wanted = int(literal, 0) if kind == 'number' else literal[1:-1]
        return lambda e, now: any(compare(v, sign, wanted) for v in values(e, now))

    def operand(self):
        """A function from (element, now) to a list of values: texts, numbers."""
        if self.peek() == '@':
            self.take('@')
            name = self.take(kind='name')
            return lambda e, now: [e.get(name)] if e.get(name) is not None else []
        if self.peek() in ('timediff', 'band'):
            return self.function(self.take())
        steps = [self.step()]
        while self.peek() == '/':
            self.take('/')
            if self.peek() == '@':
                attribute = self.operand()
                return lambda e, now: [v for n in walk(e, steps, now) for v in attribute(n, now)]
            steps.append(self.step())
        # an element's value is its text; without text it is there all the same
        return lambda e, now: [n.text or '' for n in walk(e, steps, now)]

    def step(self):
        return self.take(kind='name'), self.conditions()

    def function(self, name):
        self.take('(')
        if name == 'timediff':
            self.take('@')
            if self.take(kind='name') != 'SystemTime':
                raise Bad('timediff of something else')
            self.take(')')
            return lambda e, now: [int((now - when(e.get('SystemTime'))) * 1000)] if e.get('SystemTime') else []
        what = self.take(kind='name')
        self.take(',')
        mask = int(self.take(kind='number'), 0)
        self.take(')')
        return lambda e, now: [1 for n in e.findall(EVENT + what) if int(n.text or '0', 0) & mask]


def walk(element, steps, now):
    nodes = [element]
    for name, conditions in steps:
        nodes = [c for n in nodes for c in n.findall(EVENT + name) if all(k(c, now) for k in conditions)]
    return nodes


def compare(value, sign, wanted):
    if isinstance(wanted, int):
        try:
            value = int(value, 0) if isinstance(value, str) else value
        except ValueError:
            return False
    elif when(wanted) is not None and when(str(value)) is not None:
        value, wanted = when(value), when(wanted)
    elif sign not in ('=', '!='):
        return False
    return {'=': value == wanted, '!=': value != wanted, '<': value < wanted, '<=': value <= wanted,
            '>': value > wanted, '>=': value >= wanted}[sign]


def parse(text, limit=0):
    """A function from (Event element, now in seconds) to bool. Bad: no query of ours."""
    if text.strip() == '*':
        return lambda e, now: True
    p = Parser(text)
    f = p.path()
    if limit and p.comparisons > limit:
        raise Bad(f'{p.comparisons} comparisons, {limit} at most')
    return f
