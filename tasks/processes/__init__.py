"""The child processes of a task: started, watched, and ended with their parent."""
