"""A project outside Gleaner's checkout: how it is made, and how an upgrade of Gleaner reaches it."""
