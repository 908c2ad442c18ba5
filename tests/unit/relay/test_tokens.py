"""Tokens that are fetched, on a clock that moves only when it is told."""

import asyncio
import base64
import json
import logging
from collections.abc import Callable
from urllib.parse import parse_qs

import msgspec
import pytest

from spangate.exchange import Target
from spangate.providers import ClientCredentials
from spangate.relay.tokens import ANSWER, PATIENCE, PAUSE, Tokens
from spangate.relay.upstream import Incoming, Outgoing
from spangate.wire.problems import Refusal, UpstreamProblem

from .fakes import FakeIncoming, FakeTransport

GRANT = ClientCredentials(
    url="https://login.example/t-1/token", client_id="c 1", client_secret="s/very+secret", scope="https://x/.default", client="body"
)
TARGET = Target(
    model_definition_id="d-1", provider="azure", model="gpt", formats={}, headers={"x-fixed": "1"}, grant=GRANT, secret_id="s-1"
)
ANOTHER = msgspec.structs.replace(TARGET, grant=msgspec.structs.replace(GRANT, client_secret="changed"))


class Bank:
    """A token endpoint: it gives `t-1`, `t-2`, … unless told otherwise."""

    def __init__(self, life: object = 1000) -> None:
        self.now = 0.0
        self.life = life
        self.answers: list[FakeIncoming | Exception | str] = []
        self.log: list[object] = []
        self.transport = FakeTransport(self.log, self._answer)
        self.tokens = Tokens(self.transport, clock=lambda: self.now)

    def _answer(self) -> FakeIncoming | Exception | str:
        if self.answers:
            return self.answers.pop(0)
        return self.says(200, {"token_type": "Bearer", "expires_in": self.life, "access_token": f"t-{len(self.transport.sent)}"})

    def says(self, status: int, body: object) -> FakeIncoming:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return FakeIncoming(status, [(b"content-type", b"application/json")], [content], self.log)

    async def shown(self, target: Target = TARGET) -> str:
        return (await self.tokens.authorised(target)).headers["authorization"]

    async def refusal(self, target: Target = TARGET) -> UpstreamProblem:
        with pytest.raises(UpstreamProblem) as caught:
            await self.tokens.authorised(target)
        return caught.value

    @property
    def asked(self) -> int:
        return len(self.transport.sent)


async def settled() -> None:
    """What runs beside the calls has run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_target_without_a_grant_is_as_it_was() -> None:
    bank = Bank()
    plain = msgspec.structs.replace(TARGET, grant=None)
    assert await bank.tokens.authorised(plain) is plain
    assert bank.tokens.refused(plain) is False
    assert bank.asked == 0


async def test_a_token_is_shown_beside_the_other_headers_and_is_known_as_a_credential() -> None:
    bank = Bank()
    bank.answers = [bank.says(200, {"access_token": "a-long-enough-token", "expires_in": 3600})]
    found = await bank.tokens.authorised(TARGET)
    assert found == msgspec.structs.replace(TARGET, headers={"x-fixed": "1", "authorization": "Bearer a-long-enough-token"})
    assert found.credentials == ("a-long-enough-token",)


async def test_a_client_proves_itself_in_the_body() -> None:
    bank = Bank()
    await bank.shown()
    assert bank.transport.sent == [
        Outgoing(
            url="https://login.example/t-1/token",
            headers={"content-type": "application/x-www-form-urlencoded", "accept": "application/json"},
            body=b"grant_type=client_credentials&scope=https%3A%2F%2Fx%2F.default&client_id=c+1&client_secret=s%2Fvery%2Bsecret",
            timeouts=PATIENCE,
        )
    ]


async def test_a_client_proves_itself_in_a_header_where_the_provider_wants_that() -> None:
    bank = Bank()
    basic = msgspec.structs.replace(TARGET, grant=msgspec.structs.replace(GRANT, client="basic"), allow_private=True)
    await bank.shown(basic)
    (sent,) = bank.transport.sent
    assert parse_qs(sent.body.decode()) == {"grant_type": ["client_credentials"], "scope": ["https://x/.default"]}
    assert sent.headers["authorization"] == "Basic " + base64.b64encode(b"c+1:s%2Fvery%2Bsecret").decode()
    assert sent.allow_private is True


async def test_many_calls_at_once_fetch_one_token() -> None:
    bank = Bank()
    assert await asyncio.gather(*(bank.shown() for _ in range(50))) == ["Bearer t-1"] * 50
    assert bank.asked == 1


async def test_a_client_that_leaves_does_not_take_the_token_from_the_others() -> None:
    bank = Bank()
    first, second = asyncio.create_task(bank.shown()), asyncio.create_task(bank.shown())
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "Bearer t-1"
    assert first.cancelled()
    assert bank.asked == 1


async def test_a_token_is_kept_while_it_lives() -> None:
    bank = Bank(life=1000)
    await bank.shown()
    bank.now = 749.0
    assert await bank.shown() == "Bearer t-1"
    await settled()
    assert bank.asked == 1


async def test_a_token_is_renewed_beside_the_calls_before_it_expires() -> None:
    bank = Bank(life=1000)
    await bank.shown()
    bank.now = 750.0
    assert [await bank.shown(), await bank.shown()] == ["Bearer t-1", "Bearer t-1"]  # nobody waits
    await settled()
    assert bank.asked == 2
    assert await bank.shown() == "Bearer t-2"


async def test_an_expired_token_is_waited_for() -> None:
    bank = Bank(life=1000)
    await bank.shown()
    bank.now = 950.0
    assert await bank.shown() == "Bearer t-2"


async def test_a_renewal_that_fails_is_tried_again_and_the_token_serves_on() -> None:
    bank = Bank(life=1000)
    await bank.shown()
    bank.now = 800.0
    bank.answers = [UpstreamProblem(502, "upstream_connect", "No connection to login.example: refused.")]
    for _ in range(3):
        assert await bank.shown() == "Bearer t-1"
        await settled()
    assert bank.asked == 2
    bank.now = 800.0 + PAUSE
    assert await bank.shown() == "Bearer t-1"
    await settled()
    assert await bank.shown() == "Bearer t-3"


async def test_two_credentials_are_two_tokens_and_equal_ones_are_one() -> None:
    bank = Bank()
    same = msgspec.structs.replace(TARGET, secret_id="s-2", model="other")
    assert [await bank.shown(), await bank.shown(ANOTHER), await bank.shown(same)] == ["Bearer t-1", "Bearer t-2", "Bearer t-1"]


# ---------------------------------------------------------------- lives


@pytest.mark.parametrize(
    ("said", "life"),
    [("1000", 1000.0), (1000.0, 1000.0), (None, 300.0), (0, 300.0), (-5, 300.0), ("soon", 300.0), (True, 300.0), (10**12, 86_400.0)],
)
async def test_a_life_is_read_as_providers_write_it(said: object, life: float) -> None:
    bank = Bank(life=said)
    await bank.shown()
    bank.now = life * 0.75 - 1
    await bank.shown()
    await settled()
    assert bank.asked == 1
    bank.now = life * 0.75
    await bank.shown()
    await settled()
    assert bank.asked == 2


# ---------------------------------------------------------------- what goes wrong

Answer = Callable[[Bank], FakeIncoming | Exception]


def says(status: int, body: object) -> Answer:
    return lambda bank: bank.says(status, body)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            says(401, {"error": "invalid_client", "error_description": "AADSTS7000215: 's/very+secret' is no", "error_codes": [7000215]}),
            "login.example answered 401 (invalid_client, AADSTS7000215).",
        ),
        (says(400, {"error": "s/very+secret", "error_codes": "s/very+secret"}), "login.example answered 400."),
        (says(503, b"<html>s/very+secret"), "login.example answered 503."),
        (says(302, b""), "login.example answered 302; a redirect is never followed."),
        (says(200, b"[]"), "What login.example answered holds no token."),
        (says(200, {"access_token": ""}), "What login.example answered holds no token."),
        (says(200, {"access_token": "a\nb: c"}), "What login.example answered holds no token."),
        (says(200, {"access_token": "a" * (ANSWER + 1)}), "What login.example answered holds no token."),
        (lambda _: UpstreamProblem(504, "upstream_connect_timeout", "Too slow."), "Too slow."),
        (
            lambda _: Refusal(502, "upstream_private_address", "login.example is not a public address."),
            "login.example is not a public address.",
        ),
    ],
)
async def test_what_goes_wrong_is_told_without_a_secret(answer: Answer, why: str, caplog: pytest.LogCaptureFixture) -> None:
    bank = Bank()
    bank.answers = [answer(bank)]
    with caplog.at_level(logging.DEBUG):
        found = await bank.refusal()
    assert (found.status, found.kind, found.message) == (502, "upstream_credential", f"There is no token for azure. {why}")
    assert "very" not in caplog.text
    assert "s-1" in caplog.text, "which secret it is about"


async def test_a_fault_of_ours_is_told_and_leaves_the_next_call_free(caplog: pytest.LogCaptureFixture) -> None:
    bank = Bank()
    bank.answers = [ZeroDivisionError("a bug")]
    assert (await bank.refusal()).message == "There is no token for azure. The gateway failed."
    assert "a bug" in caplog.text
    bank.now = PAUSE
    assert await bank.shown() == "Bearer t-2"


async def test_after_a_failure_nobody_asks_for_a_while_and_all_are_told_why() -> None:
    bank = Bank()
    bank.answers = [bank.says(401, {"error": "invalid_client"})]
    refusals = await asyncio.gather(*(bank.refusal() for _ in range(5)))
    bank.now = PAUSE - 0.1
    refusals.append(await bank.refusal())
    assert {refusal.message for refusal in refusals} == {"There is no token for azure. login.example answered 401 (invalid_client)."}
    assert bank.asked == 1
    bank.now = PAUSE
    assert await bank.shown() == "Bearer t-2"


async def test_the_connection_is_given_back_whatever_was_answered() -> None:
    for answer in (says(200, {"access_token": "t"}), says(500, b""), says(302, b"")):
        bank = Bank()
        bank.answers = [answer(bank)]
        await asyncio.gather(bank.shown(), return_exceptions=True)
        assert bank.log[-1] == "close"


class Deaf:
    """A token endpoint that never answers."""

    async def send(self, outgoing: Outgoing) -> Incoming:
        await asyncio.Event().wait()
        raise AssertionError

    async def close(self) -> None:
        pass


async def test_a_call_that_waits_for_a_token_can_be_cancelled() -> None:
    tokens = Tokens(Deaf(), clock=lambda: 0.0)
    call = asyncio.create_task(tokens.authorised(TARGET))
    await settled()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


# ---------------------------------------------------------------- a token that the provider does not take


async def test_a_refused_token_is_dropped_and_another_one_fetched() -> None:
    bank = Bank()
    target = await bank.tokens.authorised(TARGET)
    assert bank.tokens.refused(target) is True
    assert await bank.shown() == "Bearer t-2"


async def test_a_second_refusal_is_not_about_the_token() -> None:
    bank = Bank()
    bank.tokens.refused(await bank.tokens.authorised(TARGET))
    again = await bank.tokens.authorised(TARGET)
    bank.now = 59.0
    assert bank.tokens.refused(again) is False
    assert await bank.shown() == "Bearer t-2"
    bank.now = 60.0
    assert bank.tokens.refused(again) is True


async def test_calls_that_were_refused_together_drop_one_token() -> None:
    bank = Bank()
    first, second = await bank.tokens.authorised(TARGET), await bank.tokens.authorised(TARGET)
    assert (bank.tokens.refused(first), bank.tokens.refused(second)) == (True, True)
    assert await bank.shown() == "Bearer t-2"
    assert bank.tokens.refused(first) is True  # late: there is another one already
    assert await bank.shown() == "Bearer t-2"


async def test_nothing_is_dropped_of_a_target_that_is_not_known() -> None:
    assert Bank().tokens.refused(TARGET) is False


async def test_the_token_of_a_changed_secret_is_forgotten_once_it_expired() -> None:
    bank = Bank(life=1000)
    await bank.shown()
    bank.now = 2000.0
    await bank.shown(ANOTHER)
    assert bank.tokens.refused(msgspec.structs.replace(TARGET, headers={"authorization": "Bearer t-1"})) is False
