"""The one event log: its vocabulary, how facts are appended to it and read from it."""
