#!/usr/bin/python3 -B
"""pywinrm.py URL CA COMMAND [ARGUMENT...] -- a client that nobody here has written: python3-winrm with
Kerberos over HTTPS. Prints its output and exit code."""
import sys

from winrm.protocol import Protocol

url, ca, command, *arguments = sys.argv[1:]
p = Protocol(endpoint=url, transport='kerberos', message_encryption='never', ca_trust_path=ca, operation_timeout_sec=2,
             read_timeout_sec=20)
shell = p.open_shell()
c = p.run_command(shell, command, arguments)
out, err, code = p.get_command_output(shell, c)
p.cleanup_command(shell, c)
p.close_shell(shell)
print(out.decode().strip(), err.decode().strip(), code)
