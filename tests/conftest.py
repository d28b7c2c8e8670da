"""What all tests share: hypothesis sets no deadlines, because no test here asserts a time."""

from hypothesis import settings

settings.register_profile("malote", parent=settings.default, deadline=None)
settings.load_profile("malote")
