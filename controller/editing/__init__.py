"""Editing a policy as a person would: comments, order and spelling of everything else stay as they are.

A file is read by ruamel.yaml's parser into a tree that keeps each scalar as it is spelt and each comment
with what it speaks of (`tree`, `reading`), put into the language's order (`order`), changed (`values`,
`workspace`) and written (`writing`). Nothing is written that would not read back as what was meant.
"""
