"""Programs written for other servers, each run as a user would against the real server with real models."""
