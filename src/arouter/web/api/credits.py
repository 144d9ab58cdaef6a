"""`/v1/credits` for management keys: what is paid in, what was, and whether requests are held to it.

What is left is told by `arouter.web.api.billing`, in others' shapes.
"""

from fastapi import Request, Response

from arouter.domain.activity import Cursor
from arouter.domain.credits import ID_BYTES, CreditConflict, TooManyCredits
from arouter.domain.errors import NotFound
from arouter.domain.roles import Action
from arouter.web.api.body import read_struct
from arouter.web.api.credit_settings import IDEMPOTENCY_KEY, new_credit, new_id, refused
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.parameters import Parameter, Parameters, read_cursor
from arouter.web.api.services import ApiServices
from arouter.wire.billing_json import CreditsAnswer, encode_credits
from arouter.wire.credits_json import (
    AddCredit,
    CreditAnswer,
    CreditList,
    UpdateCredits,
    encode_credit,
    encode_credit_list,
)

TAG = "Credits"
DEFAULT_LIMIT, MOST_LIMIT = 100, 1000

PARAMETERS = (
    Parameter(
        name="limit",
        schema={"type": "integer", "minimum": 1, "maximum": MOST_LIMIT, "default": DEFAULT_LIMIT},
        description="How many entries at most.",
    ),
    Parameter(name="cursor", description="`next_cursor` of the page before."),
)
HEADERS = (
    Parameter(
        name=IDEMPOTENCY_KEY,
        schema={"type": "string", "pattern": "^[!-~]{1,255}$"},
        description="The same key twice is one entry; with another content it is refused.",
    ),
)


class CreditsApi:
    """Adds entries, lists them, and switches the pool."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="POST",
                path="/credits",
                handler=self.add,
                operation_id="addCredit",
                summary="Add to the organization's credits",
                tag=TAG,
                headers=HEADERS,
                body=AddCredit,
                answers={JSON: CreditAnswer},
                status=201,
                errors=(400, 401, 403, 409),
            ),
            Endpoint(
                method="PATCH",
                path="/credits",
                handler=self.switch,
                operation_id="updateCredits",
                summary="Hold requests to the organization's credits, or no more",
                tag=TAG,
                body=UpdateCredits,
                answers={JSON: CreditsAnswer},
                errors=(400, 401, 403),
            ),
            Endpoint(
                method="GET",
                path="/credits/entries",
                handler=self.entries,
                operation_id="listCreditEntries",
                summary="What was added to the credits, newest first",
                tag=TAG,
                parameters=PARAMETERS,
                answers={JSON: CreditList},
                errors=(400, 401, 403),
            ),
            Endpoint(
                method="GET",
                path="/credits/entries/{id}",
                handler=self.entry,
                operation_id="getCreditEntry",
                summary="One entry",
                tag=TAG,
                answers={JSON: CreditAnswer},
                errors=(400, 401, 403, 404),
            ),
        )

    async def add(self, request: Request) -> Response:
        """Told twice with the same `reference` or `Idempotency-Key`, it is one entry, and both get it as the answer."""
        manager = await self._services.manager(request, Action.WRITE_CREDITS)
        Parameters(request.scope["query_string"], ())
        entropy = self._services.entropy
        entry = new_credit(
            await read_struct(request, AddCredit),
            organization_id=manager.organization_id,
            idempotency_key=request.headers.get(IDEMPOTENCY_KEY),
            now_us=self._services.now_us(),
            entropy=entropy(ID_BYTES),
        )
        directory = self._services.noting(manager, request)
        try:
            kept = await directory.add_credit(entry, opening_id=new_id(entropy(ID_BYTES)))
        except (CreditConflict, TooManyCredits) as problem:
            raise refused(problem) from problem
        await self._services.directory_changed()
        return answer_json(encode_credit(kept), 201)

    async def switch(self, request: Request) -> Response:
        """What is used while it is off is not charged to the credits."""
        manager = await self._services.manager(request, Action.WRITE_CREDITS)
        Parameters(request.scope["query_string"], ())
        wanted = await read_struct(request, UpdateCredits)
        directory = self._services.noting(manager, request)
        try:
            await directory.switch_credits(
                manager.organization_id,
                enabled=wanted.enabled,
                opening_id=new_id(self._services.entropy(ID_BYTES)),
                now_us=self._services.now_us(),
            )
        except TooManyCredits as problem:
            raise refused(problem) from problem
        await self._services.directory_changed()
        return answer_json(encode_credits(*await self._services.credits_of(manager.organization_id)))

    async def entries(self, request: Request) -> Response:
        """Each is in the audit log, too."""
        manager = await self._services.manager(request, Action.READ_BILLING)
        parameters = Parameters(request.scope["query_string"], PARAMETERS)
        limit = parameters.whole("limit", least=1, most=MOST_LIMIT)
        size = DEFAULT_LIMIT if limit is None else limit
        after: Cursor | None = read_cursor(parameters)
        found = await self._services.directory.list_credits(manager.organization_id, limit=size + 1, after=after)
        page = found[:size]
        return answer_json(encode_credit_list(page, page[-1].cursor if len(found) > size else None))

    async def entry(self, request: Request) -> Response:
        """One of the organization's own."""
        manager = await self._services.manager(request, Action.READ_BILLING)
        Parameters(request.scope["query_string"], ())
        found = await self._services.directory.get_credit(manager.organization_id, request.path_params["id"])
        if found is None:
            raise NotFound("There is no credit with this id in the organization.", code="credit_not_found", param="id")
        return answer_json(encode_credit(found))
