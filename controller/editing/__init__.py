"""Editing a policy as a person would: comments, order and spelling of everything else stay as they are.

A file is read into a tree that keeps each scalar as it is spelt and each comment with what it speaks of
(`tree`, `reading`). `fmt` puts the tree into the language's order (`order`) and writes it anew (`writing`);
edits (`values`, `workspace`) alter it, and only what they alter is put into the file's text (`splicing`).
Nothing is written that would not read back as what was meant.
"""
