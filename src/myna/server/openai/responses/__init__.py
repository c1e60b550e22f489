"""The Responses API: items in, a model's items out, as a stream of named events; stored, continued, in background."""
