"""What depends on language: scripts, WordNet, and identity terms."""
