"""What Myna remembers: chats, messages, runs and list changes, in SQLite."""
