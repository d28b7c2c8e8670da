"""``python -m api.commands``: the command line without its installed name."""

from api.commands import main

main()
