"""What is asked and answered: sentences of a company's daily life, enough of them that two conversations are rarely the same."""

import tomllib
from importlib import resources
from random import Random

QUESTIONS = 3_000
SENTENCES = 6_000
RARE = 20_000  # answers, of which one has a given needle in it
_FILLED = ("who", "what", "kind", "do", "when", "why")


class Words:
    def __init__(self, rng: Random) -> None:
        given: dict[str, list[str]] = tomllib.loads(resources.files("spangate.seed").joinpath("words.toml").read_text("utf-8"))

        def filled(pattern: str) -> str:
            text = pattern.format_map({name: rng.choice(given[name]) for name in _FILLED})
            return text[0].upper() + text[1:]

        self.prompts = given["prompts"]
        self.needles = given["needles"]
        self.questions = [filled(rng.choice(given["ask"])) for _ in range(QUESTIONS)] + given["elsewhere"] * (QUESTIONS // 200)
        self.sentences = [f"{rng.choice(given['how'])}: {filled(rng.choice(given['advice']))}." for _ in range(SENTENCES)]

    def answer(self, rng: Random, sentences: int) -> str:
        said = rng.choices(self.sentences, k=sentences)
        if rng.random() < len(self.needles) / RARE:
            said.append(f"{rng.choice(self.needles)}.")
        return " ".join(said)
