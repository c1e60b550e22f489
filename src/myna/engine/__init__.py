"""Requests become tokens: KV blocks, scheduling, the step, and the process that runs it."""
