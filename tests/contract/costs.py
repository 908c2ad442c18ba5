"""What each recording cost: its tokens, read off the wire by a person, and what they come to at the provider's published rates.

Worked out by hand, not by running anything: `input` and `output` are the arithmetic (tokens x dollars a million), `pays` its results
in picodollars. Rates are those that each provider's price page had on the day of the recording.
"""

from typing import Any, NamedTuple

RECORDED = 1_763_800_000_000  # ms: 2025-11-22 08:26:40 UTC, as the recordings say of themselves

# Dollars a million tokens, and who says so. Of the page the book's maker names as its own source.
PAGES = {
    # gpt-4o-mini: input 0.15, cached 0.075, output 0.60. gpt-5-mini: 0.25, 0.025, 2.00. gpt-3.5-turbo-instruct: 1.50, output 2.00.
    # Cached tokens are a part of prompt_tokens, reasoning of completion_tokens (guides/prompt-caching, guides/reasoning).
    "openai": "https://platform.openai.com/docs/pricing",
    # gpt-4o-mini-0718 Global: as OpenAI's.
    "azure": "https://azure.microsoft.com/en-us/pricing/details/cognitive-services/openai-service/",
    # Claude Sonnet 4.5, prompts up to 200k: input 3, write for 5 minutes 3.75, for an hour 6, read 0.30, output 15.
    # input_tokens leaves both out (build-with-claude/prompt-caching); thinking is a part of output_tokens.
    "anthropic": "https://platform.claude.com/docs/en/about-claude/pricing",
    # Gemini 2.5 Flash, paid: input 0.30 (text, image, video), audio 1.00, cached 0.03, output 2.50 with thinking.
    # Gemini Embedding 2: text 0.20, image 0.45.
    # Cached tokens are a part of promptTokenCount; thoughts and tool results are not a part of the counts that they stand beside.
    "gemini": "https://ai.google.dev/gemini-api/docs/pricing",
    # deepseek-reasoner from 2025-02-26 on, 00:30-16:30 UTC: cache miss 0.55, hit 0.14, output 2.19.
    "deepseek": "https://api-docs.deepseek.com/quick_start/pricing",
}


class Row(NamedTuple):
    provider: str  # the catalogue's name
    asked: str  # the model that the client named
    usage: dict[str, Any] = {}  # {}: it says nothing
    input: str = ""
    output: str = ""
    pays: tuple[int, int] | None = None  # picodollars in and out; None: unknown


GPT, GPT5, INSTRUCT, SONNET, FLASH = "gpt-4o-mini", "gpt-5-mini", "gpt-3.5-turbo-instruct", "claude-sonnet-4-5", "gemini-2.5-flash"

# 2,006 of the prompt, 1,920 of them from the cache: 86 are new.
CHAT = Row(
    "openai",
    GPT,
    {"input": 2006, "output": 300, "cache_read": 1920, "reasoning": 0, "audio_input": 0, "audio_output": 0},
    input="86 x 0.15 + 1920 x 0.075",  # 12.9 + 144
    output="300 x 0.60",
    pays=(156_900_000, 180_000_000),
)
COMPLETION = Row("openai", INSTRUCT, {"input": 5, "output": 7}, "5 x 1.50", "7 x 2.00", (7_500_000, 14_000_000))
RESPONSE = Row(
    "openai",
    GPT5,
    {"input": 2006, "output": 300, "cache_read": 1920, "reasoning": 128},
    input="86 x 0.25 + 1920 x 0.025",  # 21.5 + 48
    output="300 x 2.00",  # the 128 are among them
    pays=(69_500_000, 600_000_000),
)
GEMINI = Row(
    "gemini",
    FLASH,
    {"input": 2006, "output": 9, "cache_read": 1920},
    input="86 x 0.30 + 1920 x 0.03",  # 25.8 + 57.6
    output="9 x 2.50",
    pays=(83_400_000, 22_500_000),
)
THINKING = Row(
    "gemini",
    FLASH,
    {"input": 50, "output": 91, "reasoning": 60},  # 40 + 10 of tools; 31 + 60 of thoughts
    input="50 x 0.30",
    output="91 x 2.50",
    pays=(15_000_000, 227_500_000),
)

ROWS: dict[str, Row] = {
    "openai/text.sse": CHAT,
    "openai/text.json": CHAT,
    "openai/tools.sse": Row("openai", GPT, {"input": 81, "output": 32}, "81 x 0.15", "32 x 0.60", (12_150_000, 19_200_000)),
    "openai/tools.json": Row(
        "openai", GPT, {"input": 81, "output": 17, "reasoning": 0}, "81 x 0.15", "17 x 0.60", (12_150_000, 10_200_000)
    ),
    "openai/two_choices.sse": Row("openai", GPT, {"input": 3, "output": 4}, "3 x 0.15", "4 x 0.60", (450_000, 2_400_000)),
    # A deployment's name; the answer names the model.
    "openai/filters.sse": Row("azure", "our-deployment", {"input": 5, "output": 1}, "5 x 0.15", "1 x 0.60", (750_000, 600_000)),
    # The answer names no model: the one that was asked for.
    "openai/small.sse": Row("openai", GPT, {"input": 1, "output": 2}, "1 x 0.15", "2 x 0.60", (150_000, 1_200_000)),
    # completion_tokens are all the output, 12 of the 15 reasoning; prompt_cache_hit_tokens are a part of the prompt.
    "openai/reasoning.sse": Row(
        "deepseek",
        "deepseek-reasoner",
        {"input": 21, "output": 15, "cache_read": 16, "reasoning": 12},
        input="5 x 0.55 + 16 x 0.14",  # 2.75 + 2.24
        output="15 x 2.19",
        pays=(4_990_000, 32_850_000),
    ),
    # The book does not have OpenRouter's x-ai/grok-4. Reasoning stands beside completion_tokens there: 3 + 105.
    "openai/comments.sse": Row(
        "openrouter", "x-ai/grok-4", {"input": 12, "output": 108, "cache_read": 4, "cache_write": 2, "reasoning": 105}
    ),
    # Servers of one's own have no price page.
    "openai/no_done.sse": Row("openai-compatible", "tiny-random-llama", {"input": 9, "output": 2}),
    "openai/odd.sse": Row("openai-compatible", "m", {"input": 4, "output": 3}),
    "openai/error.sse": Row("openai", GPT),
    "openai/error.json": Row("openai", GPT),
    "completions/text.sse": COMPLETION,
    "completions/text.json": COMPLETION,
    "completions/small.sse": Row("openai", INSTRUCT, {"input": 1, "output": 2}, "1 x 1.50", "2 x 2.00", (1_500_000, 4_000_000)),
    "completions/two_choices.sse": Row("vllm", "facebook/opt", {"input": 2, "output": 4}),
    "responses/text.sse": RESPONSE,
    "responses/text.json": RESPONSE,
    "responses/tools.sse": Row(
        "openai", GPT5, {"input": 60, "output": 21, "cache_read": 0, "reasoning": 0}, "60 x 0.25", "21 x 2.00", (15_000_000, 42_000_000)
    ),
    # All of the output was reasoning, which is paid as output.
    "responses/incomplete.sse": Row(
        "openai", GPT5, {"input": 9, "output": 16, "cache_read": 0, "reasoning": 16}, "9 x 0.25", "16 x 2.00", (2_250_000, 32_000_000)
    ),
    "responses/small.sse": Row("openai", GPT5, {"input": 1, "output": 2}, "1 x 0.25", "2 x 2.00", (250_000, 4_000_000)),
    "responses/failed.sse": Row("openai", GPT5),
    "responses/cut.sse": Row("openai", GPT5),
    "responses/error.sse": Row("openai", GPT5),
    "anthropic/text.sse": Row(
        "anthropic",
        SONNET,
        {"input": 25, "output": 15, "cache_read": 0, "cache_write": 0, "cache_write_5m": 0, "cache_write_1h": 0},
        input="25 x 3",
        output="15 x 15",
        pays=(75_000_000, 225_000_000),
    ),
    "anthropic/text.json": Row(
        "anthropic",
        SONNET,
        {"input": 175, "output": 15, "cache_read": 50, "cache_write": 100, "cache_write_5m": 60, "cache_write_1h": 40},  # 25 + 100 + 50
        input="25 x 3 + 60 x 3.75 + 40 x 6 + 50 x 0.30",  # 75 + 225 + 240 + 15
        output="15 x 15",
        pays=(555_000_000, 225_000_000),
    ),
    "anthropic/thinking_tools.sse": Row(
        "anthropic",
        SONNET,
        {
            "input": 4710,  # 10 + 700 + 4,000
            "output": 89,
            "cache_read": 4000,
            "cache_write": 700,
            "cache_write_5m": 200,
            "cache_write_1h": 500,
            "reasoning": 40,
        },
        input="10 x 3 + 200 x 3.75 + 500 x 6 + 4000 x 0.30",  # 30 + 750 + 3,000 + 1,200
        output="89 x 15",
        pays=(4_980_000_000, 1_335_000_000),
    ),
    # Its web search is $10 a thousand besides, which no token count says.
    "anthropic/citations.sse": Row("anthropic", SONNET, {"input": 2000, "output": 44}, "2000 x 3", "44 x 15", (6_000_000_000, 660_000_000)),
    # Overloaded midway; the first event had said what was read.
    "anthropic/error.sse": Row("anthropic", SONNET, {"input": 9}, "9 x 3", "", (27_000_000, 0)),
    # The answer calls itself "c", which nobody knows: the model that was asked for.
    "anthropic/odd.sse": Row("anthropic", SONNET, {"input": 3, "output": 6}, "3 x 3", "6 x 15", (9_000_000, 90_000_000)),
    "anthropic/small.sse": Row("anthropic", SONNET, {"input": 1, "output": 2}, "1 x 3", "2 x 15", (3_000_000, 30_000_000)),
    "anthropic/error.json": Row("anthropic", SONNET),
    "gemini/text.sse": GEMINI,
    "gemini/text.array": GEMINI,
    "gemini/text.json": GEMINI,
    "gemini/thinking_tools.sse": THINKING,
    "gemini/thinking_tools.array": THINKING,
    # 258 + 258 of pictures, 60 of sound, 12 of text and 12 of video. Of the output nothing has a rate of its own in this model.
    "gemini/media.sse": Row(
        "gemini",
        FLASH,
        {"input": 600, "output": 1300, "audio_input": 60, "image_input": 516, "audio_output": 4, "image_output": 1290},
        input="540 x 0.30 + 60 x 1.00",  # 162 + 60
        output="1300 x 2.50",
        pays=(222_000_000, 3_250_000_000),
    ),
    # Grounding is $35 a thousand besides.
    "gemini/grounding.sse": Row("gemini", FLASH, {"input": 5, "output": 4}, "5 x 0.30", "4 x 2.50", (1_500_000, 10_000_000)),
    "gemini/two_candidates.array": Row("gemini", FLASH, {"input": 3, "output": 4}, "3 x 0.30", "4 x 2.50", (900_000, 10_000_000)),
    "gemini/blocked.sse": Row("gemini", FLASH, {"input": 12, "output": 0}, "12 x 0.30", "", (3_600_000, 0)),
    "gemini/error.sse": Row("gemini", FLASH, {"input": 2006, "cache_read": 1920}, GEMINI.input, "", (83_400_000, 0)),
    "gemini/cut.array": Row(
        "gemini", FLASH, {"input": 2006, "output": 5, "cache_read": 1920}, GEMINI.input, "5 x 2.50", (83_400_000, 12_500_000)
    ),
    "gemini/small.sse": Row("gemini", FLASH, {"input": 1, "output": 2}, "1 x 0.30", "2 x 2.50", (300_000, 5_000_000)),
    "gemini/small.array": Row("gemini", FLASH, {"input": 1}, "1 x 0.30", "", (300_000, 0)),
    "gemini/embeddings.json": Row(
        "gemini", "gemini-embedding-2", {"input": 7, "output": 0, "image_input": 4}, "3 x 0.20 + 4 x 0.45", "", (2_400_000, 0)
    ),
    "gemini/tokens.json": Row("gemini", FLASH),  # counting is free, and books nothing
    "gemini/error.json": Row("gemini", FLASH),
}
# Tariffs of a time that the recording is not of.
HELD = {"openai/reasoning.sse": 1_740_830_400_000}  # 2025-03-01 12:00 UTC
