"""``python -m pyscheduler``: the same as the installed command."""

from pyscheduler.cli.main import main

if __name__ == "__main__":
    main()
