"""`steward-agent top`: what this host does now, on one terminal screen, from the collectors themselves.

No server is asked and nothing is stored: `reading` runs the collectors, `view` makes of two readings what a
person wants to know, `history` keeps the last minutes, `screen` lays it out, `terminal` shows it.
"""
