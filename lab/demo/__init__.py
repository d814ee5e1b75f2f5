"""``make demo``: the whole product on one machine, played with the installed commands.

It runs as a person would: nothing of Steward's is imported, every step is a command with its real output.
"""
