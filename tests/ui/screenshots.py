"""`make screenshots`: each page, light and dark, wide and narrow, into docs/images/ui/."""

from pathlib import Path

import pytest
from playwright.sync_api import StorageState

from tests.e2e.gateway import ROOT, Gateway

from .conftest import Opened
from .sites import PATHS, opened

INTO = ROOT / "docs" / "images" / "ui"
HEIGHTS = {1400: 900, 800: 1000}


def picture(path: str, width: int, theme: str) -> Path:
    words = [word.removeprefix("$") for word in path.split("/") if word]
    return INTO / f"{'-'.join(words) or 'overview'}-{width}-{theme}.png"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", HEIGHTS)
def test_picture(context_of: Opened, session: StorageState, gateway: Gateway, path: str, width: int, theme: str) -> None:
    context, _ = context_of(gateway, session, width=width, height=HEIGHTS[width], color_scheme=theme)
    page = context.new_page()
    opened(page, path, gateway)
    INTO.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=picture(path, width, theme))
