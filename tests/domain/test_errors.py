"""The error tree's own rules."""

import weakref

from arouter.domain.errors import ARouterError, UpstreamTimeout, forget_frames


class Large:
    """Stands for the body of a request."""


def _fails(large: Large) -> ARouterError:
    try:
        try:
            raise TimeoutError
        except TimeoutError as cause:
            raise UpstreamTimeout("too late") from cause
    except ARouterError as error:
        kept = error
    assert large is not None
    return kept


def test_an_error_without_its_frames_keeps_nothing_alive() -> None:
    large = Large()
    watched = weakref.ref(large)
    error = _fails(large)
    del large
    assert watched() is not None
    forget_frames(error)
    assert watched() is None
    assert isinstance(error.__cause__, TimeoutError)
    forget_frames(None)
