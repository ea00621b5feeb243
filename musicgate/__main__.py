"""``python -m musicgate``: the command line."""

from musicgate.cli import main

main()
