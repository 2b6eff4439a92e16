"""``python -m auror.cli``."""

from auror.cli import main

main()
