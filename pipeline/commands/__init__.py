"""The work behind the commands that need no flow: `configure`, `predict` and `explain`."""
