"""The routes of the service by subject; each module adds its own to the application."""
