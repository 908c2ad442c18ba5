"""A real Chromium before a real gateway that has some weeks behind it. Whatever a page should never do fails its test.

`page` is signed in as the admin, `anonymous` is nobody yet. The gateway and its history are shared by all tests of a process: a test
that makes something gives it a name of its own, and one that must count what is there takes `empty`.
"""

import contextlib
import datetime
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Request, StorageState, expect, sync_playwright

from spangate.control import static
from tests.e2e.gateway import ADMIN_KEY, ROOT, Gateway
from tests.scale.seeded import copied
from tests.upstream.process import Upstream

CALLS = 4_000
DAYS = 10
SIZE = (1400, 900)
PATIENCE = 20_000  # ms; how busy the machine is says nothing of the page
expect.set_options(timeout=PATIENCE)
WEB = ROOT / "web"

# Every violation of the page's policy, also one that Chromium keeps to itself; and whatever moves without having been touched.
WATCHED = """
window.watched = { violations: [], shift: 0, moved: [] };
document.addEventListener("securitypolicyviolation", (event) =>
  window.watched.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile ?? ""}`));
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (entry.hadRecentInput) continue;
    window.watched.shift += entry.value;
    for (const { node } of entry.sources) window.watched.moved.push(node?.outerHTML?.slice(0, 160) ?? "gone");
  }
}).observe({ type: "layout-shift", buffered: true });
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--stale-ui", action="store_true", help="Take the web UI as it was built, though web/ has changed since.")


# ---------------------------------------------------------------- what must be here


@pytest.fixture(scope="session")
def built(request: pytest.FixtureRequest) -> None:
    """The web UI, no older than what it is made of."""
    page = static.BUILT / "index.html"
    if not page.exists():
        pytest.fail("The web UI is not built: `make ui` builds it.", pytrace=False)
    sources = [path for folder in ("src", "public") for path in (WEB / folder).rglob("*") if path.is_file()]
    sources = [path for path in sources if ".test." not in path.name]
    sources += [WEB / name for name in ("index.html", "vite.config.ts", "package-lock.json")]
    newest = max(sources, key=lambda path: path.stat().st_mtime)
    if newest.stat().st_mtime > page.stat().st_mtime and not request.config.getoption("--stale-ui"):
        said = f"The web UI was built before {newest.relative_to(ROOT)} changed: `make ui` builds it anew, --stale-ui takes it as it is."
        pytest.fail(said, pytrace=False)


def chromium() -> str:
    """Where it is: SPANGATE_TEST_CHROMIUM, or what the PATH has."""
    named = os.environ.get("SPANGATE_TEST_CHROMIUM")
    found = next(filter(None, map(shutil.which, [named] if named else ["chromium", "chromium-browser", "google-chrome"])), None)
    if found is not None:
        return found
    said = f"no Chromium: {f'SPANGATE_TEST_CHROMIUM={named} is none' if named else 'install it, or name it in SPANGATE_TEST_CHROMIUM'}"
    if os.environ.get("CI") == "true":
        pytest.fail(said, pytrace=False)
    pytest.skip(said)


QUIET = ("--disable-gpu", "--disable-background-networking", "--disable-component-update")
# The last such option is in force: so the first of these are Playwright's own (chromiumSwitches.ts). The others: what drops from the
# address bar is a page by itself now, made anew for each window, and takes a processor half a second.
UNWANTED = (
    "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades", "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay", "MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning", "AvoidCorsURLLoaderRestartOnRedirect",
    "OptimizationHints", "NetworkTimeServiceQuerying", "AimEnabled", "PreconnectToSearch",
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup",
)  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    where = chromium()
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=where,
            chromium_sandbox=os.geteuid() != 0,  # root may not have one
            args=[*QUIET, f"--disable-features={','.join(UNWANTED)}"],
        )
        with contextlib.closing(launched):
            yield launched


# ---------------------------------------------------------------- the gateway


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture(scope="session")
def past() -> Callable[[Path], contextlib.AbstractContextManager[str | None]]:
    """Makes a data folder with a history that ends within this hour."""
    hour = datetime.datetime.now(datetime.UTC).strftime(" until %Y-%m-%dT%H")
    return lambda data_dir: copied("sqlite", CALLS, DAYS, data_dir, until=hour)


@pytest.fixture(scope="session")
def gateway(
    built: None,
    browser: Browser,
    past: Callable[[Path], contextlib.AbstractContextManager[str | None]],
    upstream: Upstream,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Gateway]:
    data_dir = tmp_path_factory.mktemp("ui") / "data"
    with past(data_dir) as db, Gateway(data_dir, db=db) as running:
        furnish(running, upstream)
        yield running


def furnish(gateway: Gateway, upstream: Upstream) -> None:
    """Endpoints that answer, beside those of the history: `demo`, which is simulated, and `live`, whose answers a call may ask for."""
    secret = gateway.rest.post("/api/3.0/mlflow/gateway/secrets/create", secret_name="demo", secret_value={}, provider="simulated")
    gateway.create_endpoint("demo", gateway.model("simulated", secret["secret"]["secret_id"], "simulated", "simulated"))
    gateway.endpoint("live", upstream.base)
    gateway.known("demo")


@pytest.fixture
def empty(built: None, browser: Browser, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway that has just been started for the first time."""
    with Gateway(tmp_path / "data") as running:
        yield running


# ---------------------------------------------------------------- pages


class Watch:
    """What a page may not do, as it is done: errors in the console, breaches of its policy, requests to anywhere else."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.origin = origin
        self.seen: list[str] = []
        self.context = context
        self._excused: list[str] = []
        context.on("console", self._console)
        context.on("weberror", lambda error: self.seen.append(f"thrown: {error.error}"))
        context.on("request", self._request)

    def excuse(self, pattern: str) -> None:
        """What a test brings about on purpose: Chromium reports every answer above 399 in the console."""
        self._excused.append(pattern)

    def check(self) -> None:
        for page in self.context.pages:
            with contextlib.suppress(Error):  # it shows no page of ours
                self.seen += [f"policy: {said}" for said in page.evaluate("window.watched?.violations ?? []")]
        assert [said for said in self.seen if not any(re.search(pattern, said) for pattern in self._excused)] == []

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.seen.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.origin}/", "data:", "blob:", "about:")):
            self.seen.append(f"elsewhere: {request.url}")


Opened = Callable[..., tuple[BrowserContext, Watch]]


@pytest.fixture
def context_of(browser: Browser) -> Iterator[Opened]:
    """Makes browser contexts, each as a browser that was never here; what they should not have done fails the test at its end."""
    made: list[tuple[BrowserContext, Watch]] = []

    def make(
        gateway: Gateway,
        state: StorageState | None = None,
        width: int = SIZE[0],
        height: int = SIZE[1],
        locale: str = "en-GB",
        **more: object,
    ):
        context = browser.new_context(
            base_url=gateway.url,
            viewport={"width": width, "height": height},
            storage_state=state,
            locale=locale,
            timezone_id="UTC",
            reduced_motion="reduce",  # nothing is looked at half way
            **more,  # type: ignore[arg-type]
        )
        context.set_default_timeout(PATIENCE)
        context.add_init_script(WATCHED)
        made.append((context, Watch(context, gateway.url)))
        return made[-1]

    yield make
    try:
        for _, watch in made:
            watch.check()
    finally:
        for context, _ in made:
            context.close()


def signed_in(browser: Browser, gateway: Gateway, key: str = ADMIN_KEY) -> StorageState:
    """What a browser keeps of a session."""
    with contextlib.closing(browser.new_context(base_url=gateway.url)) as context:
        answer = context.request.post("/api/v1/session", data={"key": key})
        assert answer.ok, answer.text()
        return context.storage_state()


@pytest.fixture(scope="session")
def session(browser: Browser, gateway: Gateway) -> StorageState:
    return signed_in(browser, gateway)


@pytest.fixture
def signed(context_of: Opened, gateway: Gateway, session: StorageState) -> tuple[Page, Watch]:
    context, watch = context_of(gateway, session)
    return context.new_page(), watch


@pytest.fixture
def page(signed: tuple[Page, Watch]) -> Page:
    """Signed in as the admin; on no page yet."""
    return signed[0]


@pytest.fixture
def watch(signed: tuple[Page, Watch]) -> Watch:
    """Over `page`: to excuse what a test brings about."""
    return signed[1]


@pytest.fixture
def nobody(context_of: Opened, gateway: Gateway) -> tuple[Page, Watch]:
    context, watch = context_of(gateway)
    return context.new_page(), watch


@pytest.fixture
def anonymous(nobody: tuple[Page, Watch]) -> Page:
    """Not signed in; being told so is no fault."""
    nobody[1].excuse(r"console: .*status of 401.*/api/v1/session")
    return nobody[0]
