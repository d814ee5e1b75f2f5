"""The state of this machine's backups, from the files that the agent leaves; never from a repository."""
