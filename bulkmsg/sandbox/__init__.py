"""The sandbox: a loopback helpdesk that answers as Gorgias's public documentation and recordings say it does.

It imports nothing from the rest of the project, so that the sender and its test partner cannot be wrong in
the same way, and it never opens a connection to anywhere: what would be mailed lands in an outbox.

The other rooms decide, without a socket or a clock of their own; `server` is the thin shell around them.
"""
