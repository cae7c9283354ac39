"""Which resource, which action: checks the envelope, asks who may, and hands on."""
import soap
from soap import Fault, Raw, el  # noqa: F401

EVENTLOG = 'http://schemas.microsoft.com/wbem/wsman/1/windows/EventLog'
SHELL = 'http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd'
RSP = soap.NS['rsp']
ACTIONS = {
    soap.NS['e'] + '/Subscribe': 'Subscribe', soap.NS['n'] + '/Pull': 'Pull', soap.NS['e'] + '/Unsubscribe': 'Unsubscribe',
    soap.NS['e'] + '/Renew': 'Renew', soap.NS['n'] + '/Enumerate': 'Enumerate', soap.NS['n'] + '/Release': 'Release',
    soap.NS['x'] + '/Get': 'Get', soap.NS['x'] + '/Create': 'Create', soap.NS['x'] + '/Delete': 'Delete',
    RSP + '/Command': 'Command', RSP + '/Receive': 'Receive', RSP + '/Signal': 'Signal', RSP + '/Send': 'Send',
}
RESPONSES = {'Create': soap.NS['x'] + '/CreateResponse', 'Delete': soap.NS['x'] + '/DeleteResponse'}
VERSION = {True: 'OS: 10.0.20348 SP: 0.0 Stack: 3.0', False: 'OS: 0.0.0 SP: 0.0 Stack: 3.0'}


class Service:
    def __init__(self, dc, parts):
        """parts: {resource URI: what has a method for each action's name in its OPERATIONS}"""
        self.dc, self.parts = dc, parts

    @staticmethod
    def name_of(env):
        return 'Identify' if env.identify else ACTIONS.get(env.action, 'Unknown')

    @staticmethod
    def identify(w, logged_in):
        return w.envelope([], [el('wid:IdentifyResponse', el('wid:ProtocolVersion', 'http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd'),
                                  el('wid:ProductVendor', 'Microsoft Corporation'),
                                  el('wid:ProductVersion', VERSION[logged_in]))])

    def handle(self, env, op, conn, w, how):
        """The answer's text; without the lock."""
        if op == 'Identify':
            return self.identify(w, logged_in=True)
        with self.dc.lock:
            env.check()
            if not self.dc.new_id(env.message_id):
                raise Fault(soap.BAD_HEADER, f'MessageID {env.message_id} was used before')
        part = self.parts.get(env.resource)
        if part is None:
            raise Fault(2150858811, f'ResourceURI {env.resource!r}')
        if op == 'Renew' and env.resource == EVENTLOG:
            raise Fault(2150858788)
        if op not in part.OPERATIONS:
            raise Fault(2150858753, f'action {env.action!r}')
        headers, body = getattr(part, op.lower())(env, conn, how)
        action = RESPONSES.get(op, env.action + 'Response')
        return soap.answer(w, action, how.get('relatesTo') or env.message_id, body, headers)
