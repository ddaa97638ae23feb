"""What the service answers when it does not answer: a status, a code for programs, and a line for people."""

from pydantic_core import to_json
from starlette.responses import Response


class ApiError(Exception):
    """A request that is refused. The message never quotes what was sent."""

    def __init__(self, status: int, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after = status, code, message, retry_after

    def response(self) -> Response:
        """The answer, as JSON."""
        headers = {} if self.retry_after is None else {"Retry-After": str(max(1, round(self.retry_after + 0.5)))}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        body = to_json({"error": {"code": self.code, "message": self.message}})
        return Response(body, self.status, headers, "application/json")
