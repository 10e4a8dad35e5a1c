"""`python -m whichlayer`, the command line of the installed package, in which this is `whichlayer/__main__.py`."""

from whichlayer.commands.launcher import main

if __name__ == "__main__":  # not in processes that import it again
    main()
