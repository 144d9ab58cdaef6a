"""What a gateway that answers says of itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstKeys:
    """The keys made for a database that had none; the only time their plaintext exists outside of the client."""

    live: str
    management: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """For whoever started it."""

    url: str
    providers: tuple[str, ...]
    """Those that can be asked."""
    first_keys: FirstKeys | None
    """The keys that were made because the database had none."""
    interrupted: int
    """Requests that an earlier process left open; they are in the ledger as interrupted now."""
