"""The HTTP server: OpenAI API, the application's own API, the web application."""
