"""The secret of an authenticator app: sealed where there is a key-encryption key, for its member alone."""

import pytest

from arouter.domain.provider_keys import Unreadable
from arouter.engine.app_secrets import AppSecrets
from tests.engine.test_vault import NEW, OLD, vault

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
ADA, BOB = ("org_a", "mem_ada"), ("org_a", "mem_bob")

PLAIN = AppSecrets(None)
SEALING = AppSecrets(vault(OLD))
ROTATING = AppSecrets(vault(NEW, OLD))


def test_without_a_key_it_is_kept_as_it_is() -> None:
    assert PLAIN.kept(SECRET, *ADA) == SECRET
    assert PLAIN.read(SECRET, *ADA) == SECRET
    assert PLAIN.renewed(SECRET, *ADA) is None


def test_with_a_key_nothing_of_it_can_be_seen_and_it_is_read_again() -> None:
    kept = SEALING.kept(SECRET, *ADA)
    assert kept.startswith(f"sealed:{vault(OLD).first_key_id}:")
    assert SECRET not in kept
    assert SEALING.read(kept, *ADA) == SECRET
    assert SEALING.renewed(kept, *ADA) is None


def test_what_is_kept_as_it_is_can_be_read_and_is_to_be_sealed() -> None:
    assert SEALING.read(SECRET, *ADA) == SECRET
    renewed = SEALING.renewed(SECRET, *ADA)
    assert renewed is not None
    assert SEALING.read(renewed, *ADA) == SECRET


def test_what_an_older_key_sealed_is_sealed_anew() -> None:
    kept = SEALING.kept(SECRET, *ADA)
    renewed = ROTATING.renewed(kept, *ADA)
    assert renewed is not None
    assert AppSecrets(vault(NEW)).read(renewed, *ADA) == SECRET
    assert ROTATING.renewed(renewed, *ADA) is None


@pytest.mark.parametrize("who", [BOB, ("org_b", "mem_ada"), ("org_amem", "_ada")])
def test_it_is_one_members_alone(who: tuple[str, str]) -> None:
    with pytest.raises(Unreadable, match="another key's secret"):
        SEALING.read(SEALING.kept(SECRET, *ADA), *who)


def test_without_its_key_it_cannot_be_read() -> None:
    kept = SEALING.kept(SECRET, *ADA)
    for secrets in (PLAIN, AppSecrets(vault(NEW))):
        with pytest.raises(Unreadable):
            secrets.read(kept, *ADA)
    with pytest.raises(Unreadable):
        AppSecrets(vault(NEW)).renewed(kept, *ADA)
    assert PLAIN.renewed(kept, *ADA) is None


def test_what_was_changed_cannot_be_read() -> None:
    kept = SEALING.kept(SECRET, *ADA)
    head, data = kept.rsplit(":", 1)
    for changed in (f"{head}:", f"{head}:!", f"{head}:AAAA{data[4:]}", f"{head}:{data[:-8]}", "sealed:", "sealed:x"):
        with pytest.raises(Unreadable):
            SEALING.read(changed, *ADA)
