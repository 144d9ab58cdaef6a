"""A client's request for a vendor that speaks the same dialect: the few fields that are ours to change, changed."""

import msgspec

from arouter.providers.base import Manner, Prepared
from arouter.providers.openai import Fields, with_usage
from arouter.providers.routing_fields import taken_from
from arouter.providers.vendors import Vendor
from arouter.wire.multipart import Form

IDENTITY_FIELD = "user"
"""Where these endpoints take the end user's pseudonym, for a vendor that takes one at all."""

AS_TOLD = Manner()
"""The answer is of the kind that the provider says."""


def relay_fields(
    fields: Fields, path: str, *, vendor: Vendor, model: str, identity: str | None, manner: Manner | None = None
) -> Prepared:
    """A request whose body is JSON. `path` is appended to the base URL; `identity` is None where none is to be sent."""
    taken = _taken(vendor)
    sent = {name: value for name, value in fields.items() if name not in taken}
    sent["model"] = msgspec.Raw(msgspec.json.encode(model))
    if identity is not None and vendor.identity_field is not None:
        sent[IDENTITY_FIELD] = msgspec.Raw(msgspec.json.encode(identity))
    return Prepared(path=path, body=msgspec.json.encode(sent), manner=manner)


def relay_completion(
    fields: Fields, path: str, *, vendor: Vendor, model: str, identity: str | None, stream: bool
) -> Prepared:
    """The same, with the usage of a stream asked for."""
    if stream and vendor.takes_stream_options:
        fields = {**fields, "stream_options": with_usage(fields.get("stream_options"))}
    elif not vendor.takes_stream_options:
        fields = {name: value for name, value in fields.items() if name != "stream_options"}
    return relay_fields(fields, path, vendor=vendor, model=model, identity=identity)


def relay_form(
    form: Form, path: str, *, content_type: str, vendor: Vendor, model: str, identity: str | None
) -> Prepared:
    """A request whose body is a form. Its files stay as they are, byte for byte."""
    changes: dict[str, str | None] = dict.fromkeys(_taken(vendor))
    changes["model"] = model
    if identity is not None and vendor.identity_field is not None:
        changes[IDENTITY_FIELD] = identity
    return Prepared(path=path, body=form.changed(changes), manner=Manner(content_type=content_type))


def _taken(vendor: Vendor) -> frozenset[str]:
    return taken_from(gateway=vendor.takes_routing_fields)
