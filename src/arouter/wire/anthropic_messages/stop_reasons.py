"""Why an answer ended, in Anthropic's words and in ours.

stop_reason                     ours              and back
end_turn                        stop              of an answer without a call
stop_sequence                   stop              only where the provider said so
pause_turn                      stop              only where the provider said so
max_tokens                      length
model_context_window_exceeded   length            only where the provider said so
tool_use                        tool_calls        also of a `stop` after calls: some providers end so, and a
                                                  client runs the tools for this word alone
refusal                         content_filter
null                            error             an answer that broke off did not stop for a reason
"""

from collections.abc import Mapping
from types import MappingProxyType

from arouter.domain.chat import Finished, FinishReason

FINISH_REASONS: Mapping[str, FinishReason] = MappingProxyType(
    {
        "end_turn": FinishReason.STOP,
        "stop_sequence": FinishReason.STOP,
        "pause_turn": FinishReason.STOP,
        "max_tokens": FinishReason.LENGTH,
        "model_context_window_exceeded": FinishReason.LENGTH,
        "tool_use": FinishReason.TOOL_CALLS,
        "refusal": FinishReason.CONTENT_FILTER,
    }
)

_STOP_REASONS: Mapping[FinishReason, str | None] = MappingProxyType(
    {
        FinishReason.STOP: "end_turn",
        FinishReason.LENGTH: "max_tokens",
        FinishReason.TOOL_CALLS: "tool_use",
        FinishReason.CONTENT_FILTER: "refusal",
        FinishReason.ERROR: None,
    }
)


def stop_reason(end: Finished, *, called: bool, refused: bool) -> str | None:
    """The word for `end`; `called` says that the answer holds calls, `refused` that the model gave a refusal."""
    native = end.native_reason
    if native is not None and FINISH_REASONS.get(native) == end.reason:
        return native
    if end.reason == FinishReason.STOP:
        if refused:
            return "refusal"
        if called:
            return "tool_use"
    return _STOP_REASONS[end.reason]
