"""What tasks ask of DVC: the lock file, and the files that its cache and remotes hold."""
