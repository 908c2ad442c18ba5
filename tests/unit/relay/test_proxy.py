"""The raw proxy's gate: what passes is one path to everybody, under the base URL, and allowed."""

import re
from urllib.parse import quote, unquote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from spangate.exchange import EndpointSettings, Inbound, ProxyRules, Route, Target
from spangate.relay.asked import asked as asked_for
from spangate.relay.peek import Peek
from spangate.relay.proxy import allowed, normalised, proxied, query_up
from spangate.wire.problems import Refusal

HOSTILE = [
    "",
    "files",
    "//files",
    "/files//x",
    "/../x",
    "/files/../../x",
    "/files/..",
    "/files/.",
    "/./files",
    "/%2e%2e/x",
    "/%2E./x",
    "/.%2e/x",
    "/%252e%252e/x",
    "/%25252e%25252e/x",
    "/%" + "25" * 40 + "2e%2e/x",
    "/..;/x",
    "/..;a=b/x",
    "/%2e%2e%3b/x",
    "/..%20/x",
    "/..%3Fx",
    "/.%2523x",
    "/files%2f..%2fx",
    "/files%2F..%2Fx",
    "/files%252fx",
    "/files%5cx",
    "/files\\x",
    "/files%255cx",
    "/%c0%ae%c0%ae/x",  # overlong UTF-8
    "/%c0%afx",
    "/%ff",
    "/%ef%bc%8e%ef%bc%8e/x",  # full-width dots
    "/%ef%bc%8fx",  # full-width slash
    "/%ef%bc%bcx",  # full-width backslash
    "/%e2%80%a5/x",  # two dots in one character
    "/files%00",
    "/files%2500",
    "/files%0d%0aHost:%20x",
    "/files%7f",
    "/files\n",
    "/%",
    "/%2",
    "/%zz",
    "/größe",
    "/" + "x" * 10_000,
]


@pytest.mark.parametrize("path", HOSTILE)
def test_a_path_that_could_be_another_one_is_refused(path: str) -> None:
    with pytest.raises(Refusal) as refused:
        normalised(path)
    assert (refused.value.status, refused.value.kind) == (400, "bad_proxy_path")
    assert len(refused.value.message) < 200


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/", "/"),
        ("/files", "/files"),
        ("/files/", "/files/"),
        ("/files/file-1/content", "/files/file-1/content"),
        ("/%66iles", "/files"),
        ("/models/gemini:generateContent", "/models/gemini:generateContent"),
        ("/a%20b", "/a%20b"),
        ("/a%3Fb%23c", "/a%3Fb%23c"),
        ("/a?b#c", "/a%3Fb%23c"),
        ("/gr%C3%B6%c3%9fe", "/gr%C3%B6%C3%9Fe"),
        ("/100%25", "/100%25"),
        ("/.well-known/...", "/.well-known/..."),
        ("/a;b=c,d", "/a;b=c,d"),
        ("/~x@y!$&'()*+", "/~x@y!$&'()*+"),
        ("/a[b]", "/a%5Bb%5D"),
    ],
)
def test_a_path_is_sent_in_its_one_form(path: str, sent: str) -> None:
    assert normalised(path) == sent


BITS = st.sampled_from(
    ["/", ".", "..", "%2e", "%2f", "%5c", "%25", "2e", "2f", "\\", ";", "a", "B9", "%41", "%c3%a4", "%00", "?", "#", " ", "%20"]
)


@given(st.lists(BITS, max_size=12).map(lambda bits: "/" + "".join(bits)))
def test_what_passes_cannot_leave_its_base(path: str) -> None:
    try:
        sent = normalised(path)
    except Refusal:
        return
    assert normalised(sent) == sent, "what was normalised once is as it was"
    base = "https://provider.test/v1"
    url = URL(base + sent)
    assert str(url) == base + sent, "the HTTP client sends it as it was checked"
    assert (url.host, url.raw_path, url.raw_query_string, url.raw_fragment) == ("provider.test", "/v1" + sent, "", "")
    seen = sent
    for _ in range(12):  # however often somebody decodes it
        segments = re.split(r"[/\\]", seen.partition("?")[0].partition("#")[0])
        assert not {".", ".."} & {segment.partition(";")[0].strip() for segment in segments}
        seen = unquote(seen)


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4))
def test_a_name_that_means_nothing_else_arrives_as_it_is(names: list[str]) -> None:
    try:
        sent = normalised("/" + "/".join(quote(name, safe="", errors="surrogatepass") for name in names))
    except Refusal:
        return
    assert [unquote(segment) for segment in sent.split("/")[1:]] == names


# ---------------------------------------------------------------- rules


@pytest.mark.parametrize(
    ("method", "path", "may"),
    [
        ("GET", "/files", True),
        ("GET", "/files/f-1", True),
        ("GET", "/files/f-1/content", True),
        ("GET", "/batches", True),
        ("GET", "/batches/b-1", False),
        ("GET", "/filesystem", False),
        ("GET", "/", False),
        ("DELETE", "/files", False),
        ("get", "/files", False),
    ],
)
def test_methods_and_paths_are_both_asked(method: str, path: str, may: bool) -> None:
    rules = ProxyRules(methods=("GET", "POST"), paths=("/files", "/files/*", "/batches"))
    assert allowed(rules, method, path) is may


def test_empty_rules_let_nothing_through() -> None:
    assert not allowed(ProxyRules(), "GET", "/")
    assert not allowed(ProxyRules(methods=("GET",)), "GET", "/")
    assert not allowed(ProxyRules(paths=("/*",)), "GET", "/")


@pytest.mark.parametrize(
    ("query", "up"),
    [
        ("", ""),
        ("a=1&b=2&a=3", "a=1&b=2&a=3"),
        ("limit=10&after=file-1", "limit=10&after=file-1"),
        ("include[]=x", "include%5B%5D=x"),
        ("a=b%20c+d%26e", "a=b%20c+d%26e"),
        ("flag&empty=", "flag&empty="),
        ("&&a=1&", "a=1"),
        ("a=%ff%0d%0a", "a=%FF%0D%0A"),
        ("key=sk-1&a=1", "a=1"),
        ("KEY=1&Api-Key=2&api_key=3&apiKey=4&access_token=5&x-api-key=6&token=7", ""),
        ("%6bey=1&%256bey=2&k%65y=3", ""),
        ("+key=1&key+=2&key[]=3&key%5B0%5D=4", ""),
        ("a=1;key=2", ""),
        ("keyword=1&monkey=2&tokens=3", "keyword=1&monkey=2&tokens=3"),
        ("%EF%BD%8Bey=1", ""),  # full-width k
    ],
)
def test_a_query_goes_up_without_credentials(query: str, up: str) -> None:
    assert query_up(query) == up


@given(st.text(st.characters(max_codepoint=0x7F), max_size=30))
def test_a_query_is_sent_in_its_one_form(query: str) -> None:
    up = query_up(query)
    assert query_up(up) == up
    assert re.fullmatch(r"[!-~]*", up)
    assert "#" not in up


# ---------------------------------------------------------------- the whole


def target(**changes: object) -> Target:
    plain = Target(
        model_definition_id="d",
        provider="openai",
        model="gpt",
        formats={"openai.chat": "https://p/v1/chat/completions", "openai.responses": "https://p/v1/responses"},
        headers={},
        base_url="https://p/v1",
        usage_in_stream="ask",
    )
    return msgspec.structs.replace(plain, **changes)


CLAUDE = target(model_definition_id="c", formats={"anthropic.messages": "https://a/v1/messages"}, base_url="https://a/v1")
LOCAL = target(model_definition_id="l", in_process=True)
RULES = ProxyRules(methods=("GET", "POST"), paths=("/*",))
FOUND = Route(endpoint_id="e", name="raw", targets=(target(), CLAUDE, LOCAL), max_attempts=5, settings=EndpointSettings(proxy=RULES))


def inbound(method: str, path: str, body: bytes = b"", query: str = "") -> Inbound:
    return Inbound(
        call_id="c",
        format="raw",
        request_type="proxy/raw",
        path="/gateway/proxy/raw" + path,
        headers=(),
        body=body,
        received_at=0,
        started=0,
        server="",
        method=method,
        suffix=path,
        query=query,
        names_model=False,
    )


def test_a_path_that_nobody_knows_passes_unread_to_whoever_is_there() -> None:
    asked = inbound("GET", "/%66iles/x", query="key=1&limit=2")
    seen, found = proxied(asked, FOUND)
    assert seen == msgspec.structs.replace(asked, suffix="/files/x", query="limit=2")
    assert [each.formats for each in found.targets] == [{"raw": "https://p/v1"}, {"raw": "https://a/v1"}, {}]
    assert found.max_attempts == 1, "what it does is not known, so it is not done twice"


@pytest.mark.parametrize(
    ("path", "body", "format", "stream"),
    [
        ("/chat/completions", b'{"model":"gpt-5","stream":true}', "openai.chat", True),
        ("/%63hat/completions", b'{"model":"gpt-5"}', "openai.chat", False),
        ("/responses", b"not JSON", "openai.responses", False),
        ("/messages", b"{}", "anthropic.messages", False),
    ],
)
def test_a_known_format_is_read_and_its_body_is_left_alone(path: str, body: bytes, format: str, stream: bool) -> None:
    asked = inbound("POST", path, body)
    seen, found = proxied(asked, FOUND)
    assert seen == msgspec.structs.replace(asked, format=format, suffix="", stream=stream)
    assert [each.usage_in_stream for each in found.targets] == ["always"] * 3


GEMINI = {f"gemini.{name}": "https://g/v1beta/models/flash" for name in ("generate", "embeddings", "count_tokens")}


@pytest.mark.parametrize(
    ("path", "format", "stream"),
    [
        ("/models/flash:generateContent", "gemini.generate", False),
        ("/models/flash:streamGenerateContent", "gemini.generate", True),
        ("/models/flash%3AcountTokens", "gemini.count_tokens", False),
        ("/models/flash:batchEmbedContents", "gemini.embeddings", False),
    ],
)
def test_geminis_formats_are_told_by_the_method_behind_the_model(path: str, format: str, stream: bool) -> None:
    asked = inbound("POST", path, b"not JSON", "alt=sse")
    route = msgspec.structs.replace(FOUND, targets=(target(formats=GEMINI, base_url="https://g/v1beta"),))
    seen, _ = proxied(asked, route)
    suffix = path.replace("%3A", ":").removeprefix("/models/flash")
    assert seen == msgspec.structs.replace(asked, format=format, suffix=suffix, stream=stream)
    assert asked_for(seen) == Peek(model=None, stream=stream, include_usage=None, inside=0, empty=True), "its body is not looked at"


@pytest.mark.parametrize("path", ["/models/flash", "/models/flash:predict", "/models/other:generateContent"])
def test_what_is_no_method_of_gemini_is_passed_unread(path: str) -> None:
    route = msgspec.structs.replace(FOUND, targets=(target(formats=GEMINI, base_url="https://g/v1beta"),))
    assert proxied(inbound("POST", path), route)[0].format == "raw"


def test_only_a_post_is_of_a_format() -> None:
    seen, _ = proxied(inbound("GET", "/responses"), FOUND)
    assert (seen.format, seen.suffix) == ("raw", "/responses")


@pytest.mark.parametrize(
    ("rules", "method", "kind", "status"),
    [(None, "GET", "proxy_off", 403), (ProxyRules(), "GET", "proxy_not_allowed", 403), (RULES, "DELETE", "proxy_not_allowed", 403)],
)
def test_it_is_off_unless_the_endpoint_allows_it(rules: ProxyRules | None, method: str, kind: str, status: int) -> None:
    route = msgspec.structs.replace(FOUND, settings=EndpointSettings(proxy=rules))
    with pytest.raises(Refusal) as refused:
        proxied(inbound(method, "/files"), route)
    assert (refused.value.kind, refused.value.status) == (kind, status)


@pytest.mark.parametrize(
    ("rules", "allows"),
    [
        (ProxyRules(), "no method on no path"),
        (ProxyRules(methods=("GET", "POST"), paths=("/batches", "/batches/*")), "GET, POST on /batches, /batches/*"),
    ],
)
def test_a_refusal_says_what_is_allowed(rules: ProxyRules, allows: str) -> None:
    route = msgspec.structs.replace(FOUND, settings=EndpointSettings(proxy=rules))
    with pytest.raises(Refusal) as refused:
        proxied(inbound("DELETE", "/files"), route)
    assert refused.value.message == f"Endpoint '{route.name}' does not let DELETE /files through the raw proxy: it allows {allows}."
