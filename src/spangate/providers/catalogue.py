"""Reads the rows in `catalog/`: part of the program, read once, the same for the life of the process."""

import functools
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

import msgspec

from .rows import Provider


@functools.cache
def catalog() -> Mapping[str, Provider]:
    """Every provider by MLflow's name of it, in the order of the names."""
    files = (file for file in (resources.files("spangate.providers") / "catalog").iterdir() if file.name.endswith(".toml"))
    texts = {file.name.removesuffix(".toml"): file.read_bytes() for file in files}
    rows = [row(name, texts[name]) for name in sorted(texts)]
    return MappingProxyType({provider.names.mlflow: provider for provider in rows})


@functools.cache
def _canonical() -> Mapping[str, str]:
    return {also: provider.names.mlflow for provider in catalog().values() for also in provider.names.also}


def canonical(name: str) -> str:
    """The catalogue's name of a provider that somebody named with another of MLflow's words. What is no such word stays as it is."""
    return _canonical().get(name, name)


def row(name: str, text: bytes) -> Provider:
    """One file's content; its name must be MLflow's name of the provider, so that a row is found by looking for it."""
    provider = msgspec.toml.decode(text, type=Provider)
    if provider.names.mlflow != name:
        raise ValueError(f"catalog/{name}.toml names the provider {provider.names.mlflow!r}: rename one of them")
    return provider
