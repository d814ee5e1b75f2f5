"""What agent and controller agree on: bytes and times come in, values or refusals go out.

The room promises: no input or output, no clock, no randomness; every function here gives the same answer for
the same arguments. The formats are described in docs/protocol.md, the published cases are in vectors/.
"""
