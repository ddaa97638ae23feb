"""The generator of the reference pages that repeat what the code says.

python -m docs.generate          # writes them
python -m docs.generate --check  # writes nothing; exits 1 if a page is not current
"""
