"""Decisions about a served version's traffic: what changed, how accurate the answers may be, who misuses it."""
