"""``python -m ivyhub``: the command line of the interpreter that runs it."""

from ivyhub.cli import main

if __name__ == "__main__":
    main()
