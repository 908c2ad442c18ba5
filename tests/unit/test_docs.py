"""What the documents say holds: paths exist, generated pages are current, every route that is served is told, and none that is not."""

import re
import tomllib
from pathlib import Path

import pytest

from spangate import config
from spangate.cli.reference import reference as cli_reference
from spangate.control.mlflow import endpoints, experiments, models, provider_config, secrets, traces
from spangate.providers.reference import reference as providers_reference
from spangate.worker import operations

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], key=str)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
ROUTE = re.compile(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`]*)`")


def routes() -> set[tuple[str, str]]:
    return set(ROUTE.findall((ROOT / "docs/reference/http-api.md").read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_architecture_names_paths_that_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    named = set(re.findall(r"(?<![\w/])(?:src|web|tests|bench|docs)/[\w./-]*\w", text))
    assert len(named) > 20
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_architecture_gives_each_dependency_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "docs/architecture.md").read_text()
    names = [re.split(r"[\[><=]", line)[0] for line in project["dependencies"]]
    assert [name for name in names if name not in text] == []


def test_settings_page_is_what_the_settings_say() -> None:
    assert (ROOT / "docs/reference/settings.md").read_text() == config.reference(), "python -m spangate.config > docs/reference/settings.md"


def test_providers_page_is_what_the_catalogue_says() -> None:
    written = (ROOT / "docs/reference/providers.md").read_text()
    assert written == providers_reference(), "python -m spangate.providers.reference > docs/reference/providers.md"


def test_cli_page_is_what_the_commands_say() -> None:
    assert (ROOT / "docs/reference/cli.md").read_text() == cli_reference(), "python -m spangate.cli.reference > docs/reference/cli.md"


def test_http_page_tells_of_every_management_route() -> None:
    served = {
        (operation.method, operation.path if operation.path.startswith("/api") else "/api" + operation.path)
        for noun in (provider_config, secrets, models, endpoints, experiments, traces)
        for operation in noun.OPERATIONS
    }
    told = {(method, path) for method, path in routes() if "/mlflow/" in path and path.startswith("/api/")}
    # Said in words on the page: search also as GET, tags also under 2.0.
    aliases = {(method, path) for method, path in served if (method, path) == ("GET", "/api/2.0/mlflow/experiments/search")}
    aliases |= {(method, path) for method, path in served if path.startswith("/api/2.0/mlflow/traces/")}
    assert told == served - aliases


def test_http_page_tells_of_every_call_route() -> None:
    told = {path for method, path in routes() if method == "POST"}
    assert sorted(set(operations._PLACES) - told) == []


def test_http_page_tells_of_no_call_route_that_is_not_there() -> None:
    def served(method: str, path: str) -> bool:
        path = re.sub(r"{[^}]*}", "x", path)
        place = operations.place(path, path.encode())
        return (method == "GET" and operations.listed(path) is not None) or (place is not None and place.operation(method) is not None)

    told = {(method, path) for method, path in routes() if path.startswith(("/v1/", "/v1beta/", "/gateway/"))}
    assert len(told) > 10
    assert sorted((method, path) for method, path in told if not served(method, path)) == []


def test_readme_and_makefile_agree_on_the_two_commands() -> None:
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for command in ("run", "test"):
        assert f"make {command}" in readme
        assert re.search(rf"^{command}:", makefile, re.MULTILINE)
