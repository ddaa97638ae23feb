"""What tasks need of git: the commit, the patch of the working tree, and worktrees of other commits."""
