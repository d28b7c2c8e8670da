"""The handlers, one resource a file; ``api/app.py`` has the table that names them."""
