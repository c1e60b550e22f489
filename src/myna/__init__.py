"""Myna: an open ChatGPT that people own."""

__version__ = "0.1.0"
