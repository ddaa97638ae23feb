"""What tasks need of DVC: the lock file, and the files that its cache and remotes hold."""
