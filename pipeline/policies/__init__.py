"""Decisions as pure functions: is a candidate registered, does a night train, has data drifted, who is champion."""
