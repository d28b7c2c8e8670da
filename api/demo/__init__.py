"""``malote demo``: a play with a real server in it, and everything the audience sees measured."""
