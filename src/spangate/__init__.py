"""Spangate: a self-hosted AI gateway that accounts for every token."""

__version__ = "0.1.0"
