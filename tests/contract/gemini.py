"""What Gemini's recorded streams say: their events and their fold. A stream is the same in both framings, but for an array's own end."""

import json

from spangate.wire.events import Ended, Event, Failed, Progressed, Started, Stopped, Tiered, UsageReported
from spangate.wire.usage import Usage
from tests.contract.recorded import recorded

FLASH = "gemini-2.5-flash"
STARTED = Started("r1HFabc", FLASH)


def said(**usage: int) -> UsageReported:
    return UsageReported(Usage(**usage))  # type: ignore[arg-type]


TEXT: list[Event] = [
    STARTED,
    Progressed(),
    said(input=2006, cache_read=1920),  # a count that is left out may be yet to come
    said(input=2006, output=5, cache_read=1920),
    Tiered("standard"),
    said(input=2006, output=9, cache_read=1920),
    Stopped("STOP"),
]
THINKING: list[Event] = [
    STARTED,
    Progressed(),
    said(input=40, reasoning=21),
    said(input=40, reasoning=60),
    said(input=40, output=63, reasoning=60),
    said(input=40, output=91, reasoning=60),
    said(input=50, output=91, reasoning=60),
    Stopped("STOP"),
]
EVENTS: dict[str, list[Event]] = {
    "gemini/text.sse": TEXT,
    "gemini/text.array": [*TEXT, Ended()],
    "gemini/thinking_tools.sse": THINKING,
    "gemini/thinking_tools.array": [*THINKING, Ended()],
    "gemini/media.sse": [
        STARTED,
        Tiered("PROVISIONED_THROUGHPUT"),
        Progressed(),
        said(input=600, output=1300, audio_input=60, image_input=516, audio_output=4, image_output=1290),
        Stopped("MAX_TOKENS"),
    ],
    "gemini/grounding.sse": [STARTED, Progressed(), said(input=5, output=4), Stopped("STOP")],
    "gemini/two_candidates.array": [
        STARTED,
        Progressed(),
        said(input=3, output=3),
        said(input=3, output=4),
        Stopped("MAX_TOKENS"),
        Ended(),
    ],
    "gemini/blocked.sse": [STARTED, said(input=12, output=0), Stopped("PROHIBITED_CONTENT")],
    "gemini/error.sse": [
        STARTED,
        Progressed(),
        said(input=2006, cache_read=1920),
        Failed("unavailable", "The model is overloaded. Please try again later."),
    ],
    "gemini/cut.array": TEXT[:4],
    "gemini/small.sse": [Started("s", None), Progressed(), said(input=1, output=2), Stopped("STOP")],
    "gemini/small.array": [Started("s", None), Progressed(), said(input=1), Stopped("STOP"), Ended()],
}


def candidate(parts: list[object] | None, reason: str | None, index: int = 0, **more: object) -> dict[str, object]:
    content = {"content": {"parts": parts, "role": "model"}} if parts else {}
    return {**content, **({"finishReason": reason} if reason else {}), **more, "index": index}


def answer(*candidates: dict[str, object], usage: object = None, **more: object) -> dict[str, object]:
    given = {"candidates": list(candidates)} if candidates else {}
    return {**given, **more, "modelVersion": FLASH, "responseId": "r1HFabc", **({"usageMetadata": usage} if usage else {})}


def tokens(**counts: object) -> dict[str, object]:
    return counts


def modality(kind: str, count: int) -> dict[str, object]:
    return {"modality": kind, "tokenCount": count}


CACHED = tokens(
    promptTokenCount=2006,
    promptTokensDetails=[modality("TEXT", 2006)],
    cachedContentTokenCount=1920,
    cacheTokensDetails=[modality("TEXT", 1920)],
)
TEXT_ANSWER: dict[str, object] = json.loads(recorded("gemini/text.json"))
THINKING_ANSWER = answer(
    candidate(
        [
            {"text": "**Weighing** it twice.", "thought": True},
            {"text": "I look. "},
            {"functionCall": {"name": "weather", "args": {"city": "Bern"}, "id": "fc_1"}, "thoughtSignature": "CioB"},
            {"functionCall": {"name": "weather", "args": {"city": "Köln"}, "id": "fc_2"}},
        ],
        "STOP",
    ),
    usage=tokens(
        promptTokenCount=40,
        candidatesTokenCount=31,
        toolUsePromptTokenCount=10,
        thoughtsTokenCount=60,
        totalTokenCount=141,
        promptTokensDetails=[modality("TEXT", 40)],
        toolUsePromptTokensDetails=[modality("TEXT", 10)],
        candidatesTokensDetails=[modality("TEXT", 31)],
    ),
)
ANSWERS: dict[str, dict[str, object]] = {
    "gemini/text.sse": TEXT_ANSWER,
    "gemini/text.array": TEXT_ANSWER,
    "gemini/thinking_tools.sse": THINKING_ANSWER,
    "gemini/thinking_tools.array": THINKING_ANSWER,
    "gemini/media.sse": answer(
        candidate(
            [
                {"text": "Seen and heard: "},
                {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
                {"text": "done.", "thoughtSignature": "AY89"},
            ],
            "MAX_TOKENS",
            safetyRatings=[{"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"}],
        ),
        usage=tokens(
            promptTokenCount=600,
            candidatesTokenCount=1300,
            totalTokenCount=1900,
            trafficType="PROVISIONED_THROUGHPUT",
            promptTokensDetails=[
                modality("AUDIO", 60),
                modality("IMAGE", 258),
                modality("TEXT", 12),
                modality("IMAGE", 258),
                modality("VIDEO", 12),
            ],
            candidatesTokensDetails=[modality("IMAGE", 1290), modality("AUDIO", 4), modality("TEXT", 6)],
        ),
    ),
    "gemini/grounding.sse": answer(
        candidate(
            [{"text": "Green. [1]"}],
            "STOP",
            groundingMetadata={
                "webSearchQueries": ["grass", "green"],
                "groundingChunks": [{"web": {"uri": "https://example.com/", "title": "T"}}],
            },
            citationMetadata={"citationSources": [{"startIndex": 0, "endIndex": 6, "uri": "https://example.com/"}]},
        ),
        usage=tokens(promptTokenCount=5, candidatesTokenCount=4, totalTokenCount=9),
    ),
    "gemini/two_candidates.array": answer(
        candidate([{"text": "ab"}], "STOP"),
        candidate([{"text": "AB"}], "MAX_TOKENS", 1),
        usage=tokens(promptTokenCount=3, candidatesTokenCount=4, totalTokenCount=7),
    ),
    "gemini/blocked.sse": answer(
        promptFeedback={"blockReason": "PROHIBITED_CONTENT"},
        usage=tokens(promptTokenCount=12, totalTokenCount=12, promptTokensDetails=[modality("TEXT", 12)]),
    ),
    "gemini/error.sse": answer(candidate([{"text": "Hello, w"}], None), usage={**CACHED, "totalTokenCount": 2006}),
    "gemini/cut.array": answer(
        candidate([{"text": 'Hello, wörld 🌍 ]}, "{\\'}], None), usage={**CACHED, "candidatesTokenCount": 5, "totalTokenCount": 2011}
    ),
    "gemini/small.sse": {
        "candidates": [{"content": {"parts": [{"text": "é"}]}, "finishReason": "STOP", "index": 0}],
        "responseId": "s",
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2},
    },
    "gemini/small.array": {
        "candidates": [{"content": {"parts": [{"text": ']"é'}]}, "finishReason": "STOP", "index": 0}],
        "responseId": "s",
        "usageMetadata": {"promptTokenCount": 1},
    },
}
