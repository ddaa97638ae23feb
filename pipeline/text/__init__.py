"""Everything that depends on language: scripts, WordNet and its synonyms, and identity terms."""
