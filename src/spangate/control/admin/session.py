"""Signing in: a key, or a link that was made with one, against a cookie that a page of ours shows from then on."""

import asyncio
import datetime

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from ... import __version__, session
from ...exchange import SHOW_A_KEY, Role
from ..links import Links
from ..moments import moment
from ..policy import Forbidden, Identity, Policy, Proof, Unidentified, allows, proof_of

PATH = "/api/v1/session"
WRONG = 0.5  # s that a wrong key waits for its answer; ours are beyond guessing, one that somebody set may be short
SPENT = "This link has been used, or is older than ten minutes. `spangate ui` makes another one."


class SignIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=1, max_length=4096, description="A key that is in force, of any role.")


class SignInByLink(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: str = Field(min_length=1, max_length=200, description="What stands behind the `#` of the link.")


class SignedIn(BaseModel):
    """Who the key of the request belongs to, and what it may see."""

    name: str = Field(description="Of the key.")
    role: Role
    key_id: str
    endpoints: list[str] | None = Field(description="Ids of the endpoints that it may call and read of. null: all.")
    experiments: list[str] | None = Field(description="Ids of the experiments that it may see. null: all.")
    expires_at: datetime.datetime | None = Field(description="When the session ends, or the key that was shown. null: never.")
    version: str = Field(description="Of the gateway.")


class SignInLink(BaseModel):
    """Signs in whoever has it, once, with the key that made it."""

    token: str
    expires_at: datetime.datetime
    path: str = Field(description="To be put behind the gateway's address. The token is in its fragment, which browsers send to nobody.")


class SignedOut(BaseModel):
    """Nothing is left to say."""


def mount(app: FastAPI, identity: Identity, links: Links) -> None:
    @app.get(PATH, tags=["session"], response_model=SignedIn)
    @allows(Policy.viewer)
    async def signed_in(request: Request, response: Response) -> SignedIn:  # pyright: ignore[reportUnusedFunction]
        """Who asks: by its session, or by the key that it shows."""
        response.headers["cache-control"] = "no-store"
        return _who(proof_of(request))

    @app.post(PATH, tags=["session"], response_model=SignedIn)
    @allows(Policy.open)
    async def sign_in(said: SignIn, request: Request, response: Response) -> SignedIn:  # pyright: ignore[reportUnusedFunction]
        """Begins a session of 12 hours, whose cookie counts for requests of the gateway's own pages. It ends with its key."""
        _of_ours(request)
        try:
            proof = identity.of_key(said.key.strip())
        except Unidentified as refusal:
            await asyncio.sleep(WRONG)
            # Not the words of other routes: nobody sends a header here.
            raise Unidentified(refusal.message.replace(f" {SHOW_A_KEY}", "")) from None
        return _begin(identity, proof, request, response)

    @app.post(f"{PATH}/link", tags=["session"], response_model=SignedIn)
    @allows(Policy.open)
    async def sign_in_by_link(said: SignInByLink, request: Request, response: Response) -> SignedIn:  # pyright: ignore[reportUnusedFunction]
        """The same by a link, which is spent with it."""
        _of_ours(request)
        kept = links.use(said.token)
        if kept is None:
            raise Unidentified(SPENT)
        return _begin(identity, identity.of_digest(kept.digest, ends=kept.until, unknown=SPENT), request, response)

    @app.post(f"{PATH}/links", tags=["session"], response_model=SignInLink)
    @allows(Policy.admin)
    async def make_sign_in_link(request: Request, response: Response) -> SignInLink:  # pyright: ignore[reportUnusedFunction]
        """Makes a link that signs in once, within ten minutes, as whoever made it. A gateway that restarts has forgotten it."""
        response.headers["cache-control"] = "no-store"
        link = links.make(proof_of(request))
        return SignInLink(token=link.token, expires_at=moment(link.ends), path=f"/sign-in#{link.token}")

    @app.delete(PATH, tags=["session"], response_model=SignedOut)
    @allows(Policy.open)
    async def sign_out(request: Request, response: Response) -> SignedOut:  # pyright: ignore[reportUnusedFunction]
        """Has the browser forget the cookie."""
        _of_ours(request)
        _set_cookie(request, response, "", 0)
        return SignedOut()


def _of_ours(request: Request) -> None:
    """A page of somebody else's can sign nobody in, as whom it likes, and nobody out. A program, which says nothing of pages, may."""
    told = "sec-fetch-site" in request.headers or "origin" in request.headers
    if told and not session.ours(request.headers, safe=False):
        raise Forbidden(session.ELSEWHERE)


def _begin(identity: Identity, proof: Proof, request: Request, response: Response) -> SignedIn:
    begun, value = identity.begun(proof)
    _set_cookie(request, response, value, session.SECONDS)
    return _who(begun)


def _set_cookie(request: Request, response: Response, value: str, seconds: int) -> None:
    response.headers["cache-control"] = "no-store"
    response.set_cookie(
        session.name(request.headers),
        value,
        max_age=seconds,
        path="/",
        secure=session.secure(request.headers),
        httponly=True,
        samesite="strict",
    )


def _who(proof: Proof) -> SignedIn:
    key = proof.key
    return SignedIn(
        name=key.name,
        role=Role(key.role),
        key_id=key.key_id,
        endpoints=None if key.endpoints is None else sorted(key.endpoints),
        experiments=None if key.experiments is None else sorted(key.experiments),
        expires_at=None if proof.ends is None else moment(proof.ends),
        version=__version__,
    )
