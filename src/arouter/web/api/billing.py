"""`GET /v1/billing/transactions`, `/v1/transactions`, `/v1/balance` and `/v1/credits`: charges and credits.

The charges are the ledger's records, one transaction each, at the costs that hold now. Where an organization keeps no
credits the balance is unknown, and null.
"""

from fastapi import Request, Response

from arouter.domain.activity import ActivityQuery, Cursor, Filters, Scope, SummaryQuery
from arouter.domain.credits import CreditAccount
from arouter.domain.visibility import visible_to
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.parameters import INSTANT, Parameter, Parameters, invalid, read_cursor
from arouter.web.api.services import ApiServices
from arouter.wire.billing_json import (
    BalanceAnswer,
    CreditsAnswer,
    Transaction,
    TransactionsAnswer,
    credit_transaction,
    encode_balance,
    encode_credits,
    encode_transactions,
    usage_transaction,
)

DEFAULT_LIMIT, MOST_LIMIT = 100, 1000
_INSTANT = "RFC 3339, a date, or Unix seconds with or without decimals; UTC where no offset is given."

PARAMETERS = (
    Parameter(
        name="limit",
        schema={"type": "integer", "minimum": 1, "maximum": MOST_LIMIT, "default": DEFAULT_LIMIT},
        description="How many transactions at most.",
    ),
    Parameter(name="cursor", description="`next_cursor` of the page before. Keep the other parameters as they were."),
    Parameter(name="start", schema=INSTANT, description=f"At or after. {_INSTANT}"),
    Parameter(name="end", schema=INSTANT, description=f"Before. {_INSTANT}"),
    Parameter(
        name="user", repeatable=True, description="Charges for this user. Exact, byte for byte; without credits."
    ),
)


class BillingApi:
    """Tells what was spent and what is left, as far as a key may see."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            self._transactions("/billing/transactions", "listBillingTransactions"),
            self._transactions("/transactions", "listTransactions"),
            Endpoint(
                method="GET",
                path="/balance",
                handler=self.balance,
                operation_id="getBalance",
                summary="The balance in ARouter's shape",
                tag="Billing",
                answers={JSON: BalanceAnswer},
                errors=(400, 401),
            ),
            Endpoint(
                method="GET",
                path="/credits",
                handler=self.credits,
                operation_id="getCredits",
                summary="Credits and usage in OpenRouter's shape",
                tag="Billing",
                answers={JSON: CreditsAnswer},
                errors=(400, 401),
            ),
        )

    def _transactions(self, path: str, operation_id: str) -> Endpoint:
        return Endpoint(
            method="GET",
            path=path,
            handler=self.transactions,
            operation_id=operation_id,
            summary="Charges and credits in ARouter's shape, newest first",
            tag="Billing",
            parameters=PARAMETERS,
            answers={JSON: TransactionsAnswer},
            errors=(400, 401),
        )

    async def transactions(self, request: Request) -> Response:
        """A charge for each request; and the credits, for keys that see the whole organization."""
        key = await self._services.authenticate(request.scope["headers"], request.scope["query_string"])
        parameters = Parameters(request.scope["query_string"], PARAMETERS)
        limit = parameters.whole("limit", least=1, most=MOST_LIMIT)
        start_us, end_us = parameters.instant("start"), parameters.instant("end")
        if start_us is not None and end_us is not None and end_us < start_us:
            raise invalid("end", "lies before `start`")
        query = ActivityQuery(
            scope=visible_to(key),
            filters=Filters(users=parameters.every("user"), start_us=start_us, end_us=end_us),
            limit=(DEFAULT_LIMIT if limit is None else limit) + 1,
            after=read_cursor(parameters),
        )
        found = await self._found(query)
        page = found[: query.limit - 1]
        more = len(found) == query.limit
        return answer_json(encode_transactions([one for _, one in page], page[-1][0] if more else None))

    async def balance(self, request: Request) -> Response:
        """The organization's, whatever key asks, if it sees the organization."""
        return answer_json(encode_balance(*await self._standing(await self._scope(request))))

    async def credits(self, request: Request) -> Response:
        """What was paid in, and what was spent."""
        scope = await self._scope(request)
        return answer_json(encode_credits(*await self._standing(scope), told=_is_whole(scope)))

    async def _scope(self, request: Request) -> Scope:
        key = await self._services.authenticate(request.scope["headers"], request.scope["query_string"])
        Parameters(request.scope["query_string"], ())
        return visible_to(key)

    async def _standing(self, scope: Scope) -> tuple[CreditAccount | None, int]:
        """The credits, if all of the organization may be seen, and what was spent within the scope."""
        if _is_whole(scope):
            return await self._services.credits_of(scope.organization_id)
        if scope.key_hash is not None:
            # What a key has spent is kept; it need not be added up.
            return None, (await self._services.ledger.spending(scope.key_hash, day_us=0, week_us=0, month_us=0)).total
        return None, (await self._services.ledger.summary(SummaryQuery(scope=scope))).totals.cost

    async def _found(self, query: ActivityQuery) -> list[tuple[Cursor, Transaction]]:
        """Up to `query.limit` charges and credits with their places, newest first."""
        charges = await self._services.ledger.page(query)
        found = [(row.cursor, usage_transaction(row)) for row in charges.rows]
        if _is_whole(query.scope) and not query.filters.users:
            found += await self._credits(query)
        found.sort(key=lambda one: (one[0].created_at_us, one[0].id), reverse=True)
        return found[: query.limit]

    async def _credits(self, query: ActivityQuery) -> list[tuple[Cursor, Transaction]]:
        end_us = query.filters.end_us
        after = query.after
        if end_us is not None and (after is None or after.created_at_us >= end_us):
            after = Cursor(end_us, "")
        organization_id = query.scope.organization_id
        entries = await self._services.directory.list_credits(organization_id, limit=query.limit, after=after)
        start_us = query.filters.start_us
        return [
            (entry.cursor, credit_transaction(entry))
            for entry in entries
            if start_us is None or entry.created_at_us >= start_us
        ]


def _is_whole(scope: Scope) -> bool:
    """Whether everything of the organization may be seen."""
    return scope == Scope(organization_id=scope.organization_id)
