"""How a model's tokens are counted where its provider reported none: with its maker's tokenizer, or as its reported calls had them."""

import logging
import re
import threading
from collections.abc import Callable, Mapping

from spangate.exchange import Calibration, Target
from spangate.wire.estimate import RULE_OF_THUMB, Gauge

logger = logging.getLogger(__name__)

Count = Callable[[str], int]

# Which of OpenAI's encodings a model has, by how its name begins: https://github.com/openai/tiktoken/blob/main/tiktoken/model.py
# Of gateways such as OpenRouter the name has a vendor before it.
_ENCODINGS = (
    (re.compile(r"(openai/)?(gpt-4o|gpt-4\.1|gpt-4\.5|gpt-5|gpt-oss|chatgpt-4o|o[134](-|$))"), "o200k_base"),
    (re.compile(r"(openai/)?(gpt-4|gpt-3\.5|gpt-35|text-embedding-(3|ada-002))"), "cl100k_base"),
)


def encoding(model: str) -> str | None:
    """The name of the encoding that OpenAI's tokenizers have for a model; None: it is not OpenAI's, or not known."""
    return next((name for pattern, name in _ENCODINGS if pattern.match(model)), None)


class Tokenizers:
    """OpenAI's, from a package that holds their data. Loading them takes half a second and some 150 MB: it is put off until a call needs
    one, and done beside the loop; what is guessed meanwhile is guessed by length."""

    def __init__(self) -> None:
        self._loaded: Mapping[str, Count] = {}
        self._loading: threading.Thread | None = None

    def of(self, model: str) -> Count | None:
        name = encoding(model)
        if name is None:
            return None
        if self._loading is None:
            self._loading = threading.Thread(target=self._load, name="spangate-tokenizers", daemon=True)
            self._loading.start()
        return self._loaded.get(name)

    def wait(self) -> None:
        """Returns when what is being loaded is there."""
        if self._loading is not None:
            self._loading.join()

    def _load(self) -> None:
        try:
            import bpe_openai  # pyright: ignore[reportMissingTypeStubs]

            self._loaded = {name: _counting(bpe_openai.get_encoding(name).encode_ordinary) for _, name in _ENCODINGS}
        except Exception:  # a wheel that this machine cannot load, say: lengths do then
            logger.exception("OpenAI's tokenizers could not be loaded; tokens are estimated by length")


class Gauges:
    """By target. `calibrations`: what control published last, by provider and model."""

    def __init__(self, calibrations: Callable[[], Mapping[tuple[str, str], Calibration]], tokenizers: Tokenizers | None) -> None:
        self._calibrations = calibrations
        self._tokenizers = tokenizers

    def __call__(self, target: Target) -> Gauge:
        known = self._calibrations().get((target.provider, target.model))
        count = None if self._tokenizers is None else self._tokenizers.of(target.model)
        if known is None:
            return RULE_OF_THUMB if count is None else Gauge(count=count)
        return Gauge(known.input, known.output, count)


def _counting(encode: Callable[[str], list[int]]) -> Count:
    return lambda text: len(encode(text))
