"""Whose a call is, and of which conversation: what clients say of that, each in its own place. A header says it before the body does.

Not read: OpenAI's `prompt_cache_key`. It names a prefix that prompts share, and may be shared by all users of an application
(https://platform.openai.com/docs/api-reference/responses/create); Codex, which puts its conversation there, says it in a header too.
"""

import re
from collections.abc import Iterable, Mapping

import msgspec

from spangate.record.redact import redact_text
from spangate.wire import lenient

LONGEST = 255  # characters; as the store keeps them

# The first of them that is there counts. None goes up: what does is named in relay/headers.py.
SESSION_HEADERS = (
    b"x-spangate-session",
    b"x-claude-code-session-id",  # Claude Code: https://code.claude.com/docs/en/llm-gateway-protocol
    b"session-id",  # Codex: openai/codex, codex-rs/codex-api/src/requests/headers.rs
    b"session_id",  # Codex until 2026
)
USER_HEADERS = (
    b"x-spangate-user",
    b"x-gemini-api-privileged-user-id",  # Gemini CLI's installation: google-gemini/gemini-cli, packages/core/src/core/contentGenerator.ts
)
_HEADERS = frozenset(SESSION_HEADERS + USER_HEADERS)

# Claude Code's metadata.user_id before 2.1.78; since then it is a JSON object in a string: ding113/claude-code-hub#939.
_CLAUDE_CODE = re.compile(r"user_(?P<device_id>[0-9a-f]+)_account_(?P<account_uuid>[0-9A-Za-z-]*)_session_(?P<session_id>.+)")


class Origin(msgspec.Struct, frozen=True):
    """None: the client does not say."""

    session_id: str | None = None
    user_id: str | None = None


NOWHERE = Origin()


def of_headers(headers: Iterable[tuple[bytes, bytes]]) -> Origin:
    """`headers`: lower-case names, as received."""
    said = {name: value for name, value in headers if name in _HEADERS}
    if not said:
        return NOWHERE
    texts = {name: value.decode("utf-8", "replace") for name, value in said.items()}
    return Origin(_first(texts.get(name) for name in SESSION_HEADERS), _first(texts.get(name) for name in USER_HEADERS))


def of_body(asked: Mapping[str, object]) -> Origin:
    """`asked`: the request's JSON, in whichever format."""
    metadata = lenient.mapping(asked.get("metadata")) or {}
    conversation = asked.get("conversation")  # OpenAI's responses: an id, or an object with one
    named = lenient.mapping(conversation)
    claude = _claude_code(metadata.get("user_id"))
    return Origin(
        _first(
            (
                metadata.get("session_id"),
                asked.get("session_id"),  # OpenRouter's
                conversation if named is None else named.get("id"),
                claude.get("session_id"),
            )
        ),
        _first(
            (
                asked.get("safety_identifier"),  # OpenAI's, in place of `user`: https://help.openai.com/en/articles/5428082
                asked.get("user"),
                # Of Claude Code the account, which is the same on all of its user's machines; where it has none, the machine.
                *(claude.get(name) for name in ("account_uuid", "device_id") if claude),
                metadata.get("user_id") if not claude else None,  # Anthropic's
            )
        ),
    )


def _claude_code(user_id: object) -> Mapping[str, object]:
    """The parts of a user_id of Claude Code; empty: it is none."""
    text = lenient.text(user_id) or ""
    if text.startswith("{"):
        parts = lenient.document(text.encode("utf-8", "surrogatepass")) or {}
        return parts if "session_id" in parts else {}
    found = _CLAUDE_CODE.fullmatch(text)
    return {} if found is None else found.groupdict()


def kept(value: object) -> str | None:
    """A name as it is kept, and so as it is looked for: bounded, and without anybody's key in it. None: it says nothing."""
    text = lenient.mend(lenient.text(value) or "").replace("\x00", "").strip()
    return redact_text(text, LONGEST) if text else None


def _first(values: Iterable[object]) -> str | None:
    return next((name for value in values if (name := kept(value)) is not None), None)
