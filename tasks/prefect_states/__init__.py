"""Prefect states of tasks and flows: a user's error as a failed state, and the options of retries."""
