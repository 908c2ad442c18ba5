import sys
from collections.abc import Mapping

import pytest

from spangate.exchange import Calibration, Target
from spangate.wire.estimate import RULE_OF_THUMB
from spangate.worker.gauges import Gauges, Tokenizers, encoding

KNOWN: Mapping[tuple[str, str], Calibration] = {
    ("anthropic", "claude-sonnet-4-5"): Calibration(provider="anthropic", model="claude-sonnet-4-5", input=3.1, output=3.6)
}


def target(provider: str, model: str) -> Target:
    return Target(model_definition_id="d-1", provider=provider, model=model, formats={}, headers={})


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o-mini-2024-07-18", "o200k_base"),
        ("gpt-5", "o200k_base"),
        ("openai/gpt-oss-120b", "o200k_base"),
        ("o3", "o200k_base"),
        ("o4-mini", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"),
        ("claude-sonnet-4-5", None),
        ("omni-moderation-latest", None),
        ("o300", None),
    ],
)
def test_a_model_has_its_makers_encoding(model: str, name: str | None) -> None:
    assert encoding(model) == name


def test_texts_are_counted_as_openai_counts_them() -> None:
    """Token ids of these are in OpenAI's cookbook: How to count tokens with tiktoken."""
    tokenizers = Tokenizers()
    tokenizers.of("gpt-4o")
    tokenizers.wait()
    new, old = tokenizers.of("gpt-4o"), tokenizers.of("gpt-4")
    assert new is not None
    assert old is not None
    assert (new("tiktoken is great!"), old("tiktoken is great!")) == (6, 6)
    assert (old("antidisestablishmentarianism"), new("antidisestablishmentarianism")) == (6, 6)
    assert (old("2 + 2 = 4"), new("2 + 2 = 4")) == (7, 7)
    assert (old("お誕生日おめでとう"), new("お誕生日おめでとう")) == (9, 8)
    assert new("<|endoftext|>") > 1  # said by somebody, and no order to the model


def test_nothing_is_loaded_for_models_of_others() -> None:
    tokenizers = Tokenizers()
    assert tokenizers.of("claude-sonnet-4-5") is None
    assert tokenizers._loading is None


def test_without_the_package_lengths_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bpe_openai", None)
    tokenizers = Tokenizers()
    tokenizers.of("gpt-5")
    tokenizers.wait()
    assert tokenizers.of("gpt-5") is None


def test_a_target_is_gauged_by_what_is_known_of_its_model() -> None:
    gauges = Gauges(lambda: KNOWN, None)
    assert gauges(target("anthropic", "claude-sonnet-4-5")).input == 3.1
    assert gauges(target("anthropic", "claude-sonnet-4-5")).output == 3.6
    assert gauges(target("azure", "claude-sonnet-4-5")) == RULE_OF_THUMB
    assert gauges(target("openai", "gpt-5")).count is None
    tokenizers = Tokenizers()
    tokenizers.of("gpt-5")
    tokenizers.wait()
    assert Gauges(lambda: KNOWN, tokenizers)(target("openai", "gpt-5")).count is not None
