"""`spangate ui`: the gateway's pages in a browser, already signed in."""

import sys
import webbrowser
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from .options import calling
from .there import There, write_json


@calling
def ui(there: There, open: Annotated[bool, typer.Option("--open", help="Open it in the browser of this machine.")] = False) -> None:
    """Says a link that opens the web UI, signed in with the key that is shown: once, within ten minutes. Needs an admin's key."""
    link = there.client.sessions.link()
    url = there.client.url + link.path
    if there.json:
        write_json({"url": url, "expires_at": link.expires_at})
    else:
        sys.stdout.write(f"{url}\n")
    if open and not webbrowser.open(url):
        Console(stderr=True, soft_wrap=True).print(Text("There is no browser here; open the link where there is one.", style="yellow"))
