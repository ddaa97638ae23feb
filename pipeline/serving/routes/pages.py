"""The pages of the service: / to try a text, /docs to read the API. Both load nothing from elsewhere."""

from fastapi import FastAPI

from pipeline.serving.service import Service


def add(app: FastAPI, service: Service) -> None:
    """Add the routes."""
