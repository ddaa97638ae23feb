"""Where work is done that is the same for many rows or many seeds: in this process, or on a Ray cluster."""
