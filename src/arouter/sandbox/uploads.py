"""The forms that the sandbox is sent: fields and one file."""

from arouter.domain.errors import InvalidRequest
from arouter.sandbox.plan import Received
from arouter.wire.multipart import Form, boundary_of, read_form


def form_of(received: Received) -> Form:
    """The form of a request. InvalidRequest if it is none."""
    return read_form(received.body, boundary_of(received.headers.get("content-type", "")))


def model_in_form(received: Received) -> str:
    """InvalidRequest if there is none."""
    model = form_of(received).text("model")
    if model is None:
        raise InvalidRequest("model: this field is required", param="model")
    return model


def file_in(form: Form, *names: str) -> int:
    """How many bytes the file of one of these names has. InvalidRequest if there is none."""
    for part in form.parts:
        if part.is_file and part.name in names:
            return part.end - part.content
    raise InvalidRequest(f"{names[0]}: this file is required", param=names[0])
