"""Users in the plainest way: from the beginnings of requests, for the reference backend."""

from collections.abc import Iterable, Mapping

from arouter.domain.record import Opening
from arouter.domain.users import UserOrder, UsersPage, UserSpan, UsersQuery, place_of


def spans_of(openings: Iterable[Opening]) -> Mapping[str, UserSpan]:
    """When each user was seen."""
    seen: dict[str, list[int]] = {}
    for opening in openings:
        if opening.user is not None:
            seen.setdefault(opening.user, []).append(opening.created_at_us)
    return {
        user: UserSpan(user=user, first_seen_us=min(times), last_seen_us=max(times)) for user, times in seen.items()
    }


def page_of(spans: Iterable[UserSpan], query: UsersQuery) -> UsersPage:
    """The page of those that the scope of `query` covers."""

    def place(span: UserSpan) -> tuple[int, str]:
        here = place_of(span, query.order)
        return here.at_us, here.user

    listed = sorted((span for span in spans if span.user.startswith(query.prefix)), key=place, reverse=query.descending)
    if query.after is not None:
        # By name, a cursor's time says nothing.
        after = (0 if query.order is UserOrder.NAME else query.after.at_us, query.after.user)
        listed = [span for span in listed if (place(span) < after if query.descending else place(span) > after)]
    page = tuple(listed[: query.limit])
    more = page and len(listed) > len(page)
    return UsersPage(users=page, next_cursor=place_of(page[-1], query.order) if more else None)
