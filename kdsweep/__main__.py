"""``python -m kdsweep``: the command line."""

from kdsweep.cli import main

if __name__ == "__main__":
    main()
