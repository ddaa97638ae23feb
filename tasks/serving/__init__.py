"""`gleaner serve`: follows the promotion log, hands over what to serve, and keeps workers of pipeline/serving alive."""
