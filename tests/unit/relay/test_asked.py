import pytest

from spangate.relay.asked import asked
from spangate.wire.problems import Refusal

from .fakes import inbound


@pytest.mark.parametrize(
    ("format", "streams"),
    [
        ("openai.chat", True),
        ("openai.completions", True),
        ("openai.responses", True),
        ("anthropic.messages", True),
        ("mlflow.chat", True),
        ("openai.embeddings", False),
        ("mlflow.embeddings", False),
    ],
)
def test_a_stream_is_heeded_where_there_is_one(format: str, streams: bool) -> None:
    assert asked(inbound(b'{"stream":true}', format)).stream is streams
    assert asked(inbound(b"{}", format)).stream is False


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(Refusal):
        asked(inbound(b"[]", "openai.embeddings"))
