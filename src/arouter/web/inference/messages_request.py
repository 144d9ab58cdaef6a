"""What is particular about a request to Anthropic's Messages."""

import msgspec

from arouter.domain.errors import InvalidRequest
from arouter.domain.keys import Key
from arouter.web.inference.head import Head
from arouter.web.inference.request import MALFORMED, RequestReader, check_array, read_text, wrong_type
from arouter.wire.anthropic_messages.identity import Extraction, identity_of_metadata, session_of_metadata

_SESSION = b"x-claude-code-session-id"


class _Metadata(msgspec.Struct):
    user_id: str | None = None


_decode_metadata: msgspec.json.Decoder[_Metadata | None] = msgspec.json.Decoder(_Metadata | None)


class MessagesReader(RequestReader):
    """Reads one request. A model without a provider is Anthropic's."""

    __slots__ = ("_extraction", "_metadata_user")

    asks = ("system", "messages", "tools")
    default_provider = "anthropic"

    def __init__(self, key: Key, head: Head, extraction: Extraction = "claude-code") -> None:
        """`extraction` says how the user is found in `metadata.user_id`."""
        super().__init__(key, head)
        self._extraction = extraction
        self._metadata_user: str | None = None

    def _read_user(self, header_user: str | None) -> str | None:
        """Body `user`, else `metadata.user_id`, else the header."""
        self._metadata_user = self._read_metadata()
        user = read_text(self.fields, "user") if "user" in self.fields else None
        if user is None and self._metadata_user is not None:
            user = identity_of_metadata(self._metadata_user, self._extraction)
        return header_user if user is None else user

    def _read_metadata(self) -> str | None:
        raw = self.fields.get("metadata")
        if raw is None:
            return None
        try:
            metadata = _decode_metadata.decode(raw)
        except msgspec.ValidationError as exc:
            raise wrong_type("metadata.user_id", "a string in an object") from exc
        except MALFORMED as exc:
            raise InvalidRequest("metadata is not valid JSON.", code="invalid_json", param="metadata") from exc
        return None if metadata is None else metadata.user_id

    def _note_session(self, session_id: str | None) -> None:
        """Body `session_id`, else `metadata.user_id`, else Claude Code's header."""
        if session_id is None and self._metadata_user is not None:
            session_id = session_of_metadata(self._metadata_user, self._extraction)
        if session_id is None and (told := self.head.headers.get(_SESSION)) is not None:
            session_id = told.decode("utf-8", "replace")
        super()._note_session(session_id)

    def _check(self) -> int | None:
        if "session_id" not in self.fields:
            self._note_session(None)
        check_array(self.fields, "messages")
        return super()._check()


class CountReader(MessagesReader):
    """A request that is to be counted, which is never a stream."""

    __slots__ = ()

    def _read_stream(self) -> bool:
        return False
