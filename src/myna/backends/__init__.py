"""Whatever gives answers, behind one protocol."""
