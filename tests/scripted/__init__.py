"""Myna whose models are scripts: the real program, store and sockets around answers that a test can foresee."""
