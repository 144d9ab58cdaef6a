"""What every directory keeps for signing in."""

from dataclasses import replace
from typing import Any

import pytest

from arouter.domain.audit import AuditQuery
from arouter.domain.sign_in import Login, Session
from tests.conformance.backends import Backend
from tests.conformance.test_organizations import ORGANIZATIONS, WORKSPACES, invitation, member

ADA = ("org_a", "mem_ada")


def session(session_id: str = "sess_1", **changes: Any) -> Session:
    plain = Session(
        id=session_id,
        organization_id="org_a",
        member_id="mem_ada",
        created_at_us=10,
        expires_at_us=100,
        seen_at_us=10,
    )
    return replace(plain, **changes)


@pytest.fixture
def there(backend: Backend) -> Backend:
    """A member with a password."""
    for pair in zip(ORGANIZATIONS, WORKSPACES, strict=True):
        backend.run(backend.directory.add_organization(*pair))
    backend.run(backend.directory.add_member(member()))
    assert backend.run(backend.directory.set_password(*ADA, "hash"))
    return backend


def login(there: Backend) -> Login | None:
    return there.run(there.directory.get_login(*ADA))


def test_a_password_is_kept_and_changed_and_only_of_a_member(there: Backend) -> None:
    there.restart()
    assert login(there) == Login(organization_id="org_a", member_id="mem_ada", password="hash")
    assert there.run(there.directory.set_password(*ADA, "other"))
    assert login(there) == Login(organization_id="org_a", member_id="mem_ada", password="other")
    assert not there.run(there.directory.set_password("org_b", "mem_ada", "x"))
    assert not there.run(there.directory.set_password("org_a", "mem_eve", "x"))
    assert there.run(there.directory.get_login("org_b", "mem_ada")) is None
    assert there.run(there.directory.get_login("org_a", "mem_eve")) is None


def test_an_app_counts_when_it_is_confirmed(there: Backend) -> None:
    directory = there.directory
    assert not there.run(directory.enrol_totp("org_a", "mem_eve", "x"))
    assert there.run(directory.enrol_totp(*ADA, "first"))
    assert there.run(directory.enrol_totp(*ADA, "second"))
    assert not there.run(directory.confirm_totp(*ADA, secret="first", step=5, recovery=["a"]))
    assert there.run(directory.confirm_totp(*ADA, secret="second", step=5, recovery=["a", "b"]))
    there.restart()
    found = login(there)
    assert found is not None
    assert (found.totp_secret, found.wants_totp, found.totp_step, found.recovery_codes) == ("second", True, 5, 2)
    assert not there.run(there.directory.enrol_totp(*ADA, "third"))
    assert not there.run(there.directory.confirm_totp(*ADA, secret="second", step=9, recovery=[]))
    assert there.run(there.directory.remove_totp(*ADA))
    assert not there.run(there.directory.remove_totp(*ADA))
    assert login(there) == Login(organization_id="org_a", member_id="mem_ada", password="hash")


def test_a_time_step_and_a_recovery_code_are_used_once(there: Backend) -> None:
    directory = there.directory
    there.run(directory.enrol_totp(*ADA, "s"))
    there.run(directory.confirm_totp(*ADA, secret="s", step=5, recovery=["a", "b"]))
    used = [there.run(directory.use_totp(*ADA, step)) for step in (5, 6, 6, 4, 8)]
    assert used == [False, True, False, False, True]
    assert not there.run(directory.use_totp("org_b", "mem_ada", 99))
    assert [there.run(directory.use_recovery_code(*ADA, code)) for code in ("a", "a", "x")] == [True, False, False]
    assert not there.run(directory.use_recovery_code("org_b", "mem_ada", "b"))
    found = login(there)
    assert found is not None
    assert found.recovery_codes == 1


def test_a_session_is_found_by_its_token_until_it_is_ended(there: Backend) -> None:
    directory = there.directory
    there.run(directory.add_session(session(), secret="s"))
    there.run(directory.add_session(session("sess_2", created_at_us=11), secret="t"))
    with pytest.raises(ValueError):
        there.run(directory.add_session(session("sess_3"), secret="s"))
    there.restart()
    directory = there.directory
    assert there.run(directory.find_session("s")) == session()
    assert there.run(directory.find_session("x")) is None
    there.run(directory.see_session("sess_1", 50))
    there.run(directory.see_session("sess_1", 40))
    assert there.run(directory.list_sessions(*ADA)) == (session("sess_2", created_at_us=11), session(seen_at_us=50))
    assert there.run(directory.list_sessions("org_b", "mem_ada")) == ()
    assert not there.run(directory.delete_session("org_b", "mem_ada", "sess_1"))
    assert not there.run(directory.delete_session("org_a", "mem_eve", "sess_1"))
    assert there.run(directory.delete_session(*ADA, "sess_1"))
    assert there.run(directory.find_session("s")) is None


def test_another_password_ends_every_session(there: Backend) -> None:
    there.run(there.directory.add_session(session(), secret="s"))
    there.run(there.directory.set_password(*ADA, "other"))
    assert there.run(there.directory.find_session("s")) is None


def test_sessions_that_have_expired_go_when_another_one_comes(there: Backend) -> None:
    there.run(there.directory.add_session(session(), secret="s"))
    there.run(there.directory.add_session(session("sess_2", created_at_us=100, expires_at_us=200), secret="t"))
    assert [one.id for one in there.run(there.directory.list_sessions(*ADA))] == ["sess_2"]


def test_with_the_member_go_password_app_and_sessions(there: Backend) -> None:
    directory = there.directory
    there.run(directory.enrol_totp(*ADA, "s"))
    there.run(directory.confirm_totp(*ADA, secret="s", step=5, recovery=["a"]))
    there.run(directory.add_session(session(), secret="s"))
    assert there.run(directory.delete_member(*ADA))
    assert login(there) is None
    assert there.run(directory.find_session("s")) is None


def test_an_invitation_is_accepted_with_a_password(there: Backend) -> None:
    there.run(there.directory.add_invitation(invitation("eve"), secret="s"))
    assert there.run(there.directory.accept_invitation("s", member("eve"), now_us=1, password="hers"))
    found = there.run(there.directory.get_login("org_a", "mem_eve"))
    assert found == Login(organization_id="org_a", member_id="mem_eve", password="hers")


def test_attempts_are_counted_for_each_address_within_a_time(there: Backend) -> None:
    def attempt(who: str, now_us: int) -> int | None:
        return there.run(there.directory.begin_attempt(who, now_us, most=2, within_us=100))

    assert [attempt("a", at_us) for at_us in (0, 10, 20, 99)] == [None, None, 100, 100]
    assert attempt("b", 20) is None
    assert attempt("a", 100) is None
    assert attempt("a", 101) == 110
    there.run(there.directory.forget_attempts("a"))
    assert attempt("a", 102) is None


def test_no_secret_is_in_the_audit_log(there: Backend) -> None:
    there.run(there.directory.enrol_totp(*ADA, "s3same"))
    there.run(there.directory.add_session(session(), secret="s3same"))
    told = there.run(there.directory.audit_page(AuditQuery(organization_id="org_a")))
    assert not any("s3same" in f"{one.before}{one.after}" or '"hash"' in f"{one.after}" for one in told)
    assert told[1].after == ('{"member_id":"mem_ada","has_password":true,"has_totp":false,"recovery_codes":0}')


def test_the_secret_of_an_app_is_kept_otherwise_only_if_it_is_the_same(there: Backend) -> None:
    directory = there.directory
    there.run(directory.add_member(member("bob")))
    there.run(directory.set_password("org_a", "mem_bob", "his"))
    assert there.run(directory.every_totp()) == ()
    there.run(directory.enrol_totp(*ADA, "plain"))
    there.run(directory.confirm_totp(*ADA, secret="plain", step=5, recovery=["a", "b"]))
    there.run(directory.enrol_totp("org_a", "mem_bob", "other"))
    before = len(there.run(directory.audit_page(AuditQuery(organization_id="org_a"))))
    assert not there.run(directory.reseal_totp(*ADA, before="other", after="sealed"))
    assert not there.run(directory.reseal_totp("org_b", "mem_ada", before="plain", after="sealed"))
    assert there.run(directory.reseal_totp(*ADA, before="plain", after="sealed"))
    there.restart()
    directory = there.directory
    found = login(there)
    assert found is not None
    assert (found.totp_secret, found.totp_confirmed, found.totp_step, found.recovery_codes) == ("sealed", True, 5, 2)
    every = there.run(directory.every_totp())
    assert [one.member_id for one in every] == ["mem_ada", "mem_bob"]
    assert every[0] == found
    assert [one.member_id for one in there.run(directory.every_totp(after_id="mem_ada"))] == ["mem_bob"]
    assert [one.member_id for one in there.run(directory.every_totp(limit=1))] == ["mem_ada"]
    assert len(there.run(directory.audit_page(AuditQuery(organization_id="org_a")))) == before
