"""The composition root: HTTP, providers, authentication and the command line."""
