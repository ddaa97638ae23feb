"""A backup of the whole project in a folder, with the SHA-256 of each file, and the way back from it."""
