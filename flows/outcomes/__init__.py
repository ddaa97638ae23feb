"""What each flow came to, as data and as tables: the commands print it, and Prefect's artifacts show it."""
