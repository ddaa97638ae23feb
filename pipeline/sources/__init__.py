"""Readers of raw data (files, databases, the hub, Label Studio), and the cleaning of what they read."""
