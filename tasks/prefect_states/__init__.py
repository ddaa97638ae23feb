"""What Prefect's states carry: a user's error, and when a task is tried again."""
