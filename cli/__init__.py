"""The `gleaner` command: one file for each command, wired together in __main__.py."""
