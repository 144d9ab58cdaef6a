"""What is remembered, beside a plain list of it."""

from hypothesis import given
from hypothesis import strategies as st

from arouter.engine.remembered import Remembered

MOST = 5
OWNERS = "abc"

puts = st.tuples(st.sampled_from(OWNERS), st.integers(0, 3)).map(lambda told: (f"{told[0]}{told[1]}", told[0]))
forgets = st.frozensets(st.sampled_from(OWNERS)) | st.none()


@given(st.lists(puts | forgets, max_size=30))
def test_a_thing_is_known_until_what_its_owner_has_is_forgotten_or_there_are_too_many(
    steps: list[tuple[str, str] | frozenset[str] | None],
) -> None:
    remembered: Remembered[str, int] = Remembered(MOST)
    expected: dict[str, tuple[str, int]] = {}
    for number, step in enumerate(steps):
        if isinstance(step, tuple):
            name, owner = step
            if name not in expected and len(expected) == MOST:
                expected.clear()
            expected[name] = owner, number
            remembered.put(name, owner, number)
        else:
            expected = {name: one for name, one in expected.items() if step is not None and one[0] not in step}
            remembered.forget(step)
        assert remembered.things == {name: thing for name, (_, thing) in expected.items()}
        assert {name for names in remembered._names.values() for name in names} == remembered.things.keys()


def test_whoever_holds_the_things_sees_what_becomes_of_them() -> None:
    remembered: Remembered[str, int] = Remembered(MOST)
    things = remembered.things
    remembered.put("a0", "a", 1)
    assert things == {"a0": 1}
    remembered.forget(None)
    assert things == {}
