"""``python -m ivyhub.cli``, where the script is not on the path."""

from ivyhub.cli import main

main()
