"""Whatever goes wrong in the management API, in the contract's shape."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Route

from arouter.domain.errors import ARouterError, InternalError, InvalidRequest, NotFound
from arouter.web.api.endpoint import JSON
from arouter.web.errors import retry_after_s, status_and_type
from arouter.wire.errors import error_body
from arouter.wire.nearest import quoted


@dataclass(frozen=True, slots=True)
class Faults:
    """Turns exceptions into answers."""

    app: FastAPI

    def install(self) -> None:
        self.app.add_exception_handler(ARouterError, self.of_the_domain)
        self.app.add_exception_handler(HTTPException, self.of_the_framework)
        self.app.add_exception_handler(RequestValidationError, self.of_validation)
        self.app.add_exception_handler(Exception, self.unforeseen)

    async def of_the_domain(self, _: Request, error: Exception) -> Response:
        assert isinstance(error, ARouterError)
        return _answer(error)

    async def of_the_framework(self, request: Request, error: Exception) -> Response:
        """Starlette's own: no such path, and no such method there."""
        assert isinstance(error, HTTPException)
        path = request.url.path
        if error.status_code == 405:
            allowed = ", ".join(sorted(self._methods(path)))
            wrong = InvalidRequest(
                f"{request.method} is not served at {quoted(path)}; use {allowed}.", code="method_not_allowed"
            )
            return _answer(wrong, status=405, headers={"Allow": allowed})
        if error.status_code == 404:
            return _answer(NotFound(f"There is nothing at {quoted(path)}. The paths are listed at /docs."))
        return _answer(InvalidRequest(str(error.detail)), status=error.status_code)

    async def of_validation(self, _: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        problem = error.errors()[0]
        param = ".".join(str(part) for part in problem["loc"][1:])
        return _answer(InvalidRequest(f"`{param}`: {problem['msg']}.", code="invalid_parameter", param=param))

    async def unforeseen(self, _: Request, __: Exception) -> Response:
        """A fault of ours. The framework raises it again once this is sent, so that the server logs it."""
        return _answer(InternalError("Something went wrong here; the server's log says what."))

    def _methods(self, path: str) -> set[str]:
        """What is served at `path`: RFC 9110 wants all of it in `Allow`."""
        return {
            method
            for route in _routes(self.app.routes)
            if route.path_regex.match(path)
            for method in route.methods or ()
        }


def _routes(routes: Iterable[object]) -> Iterable[Route]:
    return (route for route in routes if isinstance(route, Route))


def _answer(error: ARouterError, status: int | None = None, headers: Mapping[str, str] | None = None) -> Response:
    """`status` where the framework knows it better than the error."""
    usual, type_ = status_and_type(error)
    status = usual if status is None else status
    shown = {"Cache-Control": "no-store", **(headers or {})}
    if status == 401:
        shown["WWW-Authenticate"] = "Bearer"
    wait_s = retry_after_s(error)
    if wait_s is not None:
        shown["Retry-After"] = str(wait_s)
    return Response(error_body(error, type_), status_code=status, media_type=JSON, headers=shown)
