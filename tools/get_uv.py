"""Puts uv into the folder named on the command line, with nothing but Python's standard library at hand.

Debian's python3 has neither pip nor ensurepip: where `python3 -m venv` fails, pip comes as a wheel from the package index
(PIP_INDEX_URL, else PyPI), is checked against the index's SHA-256, and runs from the wheel.
"""

import hashlib
import html.parser
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

INDEX = os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"


class Links(html.parser.HTMLParser):
    """The wheels of an index page that this Python can run, oldest first as the index lists them."""

    def __init__(self) -> None:
        super().__init__()
        self.wheels: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        href = said.get("href") or ""
        if tag == "a" and "-py3-none-any.whl#sha256=" in href and "data-yanked" not in said and final(href):
            self.wheels.append(href)


def final(href: str) -> bool:
    """Whether the wheel's version is a plain release: digits and dots."""
    version = href.rpartition("/")[2].split("-")[1]
    return version.replace(".", "").isdigit()


def version(href: str) -> tuple[int, ...]:
    return tuple(int(part) for part in href.rpartition("/")[2].split("-")[1].split("."))


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310  https, unless the person's own index is not
        return answer.read()


def pip_wheel(folder: Path) -> Path:
    page = INDEX.rstrip("/") + "/pip/"
    links = Links()
    links.feed(fetch(page).decode())
    url, _, digest = urllib.parse.urljoin(page, max(links.wheels, key=version)).partition("#sha256=")
    content = fetch(url)
    if hashlib.sha256(content).hexdigest() != digest:
        raise SystemExit(f"{url} is not what the index says it is")
    wheel = folder / url.rpartition("/")[2]
    wheel.write_bytes(content)
    return wheel


def main(folder: Path) -> None:
    quiet = ["--quiet", "--disable-pip-version-check"]
    made = subprocess.run([sys.executable, "-m", "venv", str(folder)], capture_output=True, check=False)
    if made.returncode == 0:
        subprocess.run([str(folder / "bin" / "python"), "-m", "pip", "install", *quiet, "uv"], check=True)
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)], check=True)
    pip = f"{pip_wheel(folder)}/pip"
    subprocess.run([str(folder / "bin" / "python"), pip, "install", *quiet, "uv"], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
