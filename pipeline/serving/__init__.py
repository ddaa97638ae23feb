"""The service behind `gleaner serve`: answers over HTTP with one bundle, and changes it without losing a request.

It knows no registry: what it serves is named in a file that tasks/serving keeps up to date (handover.py).
"""
