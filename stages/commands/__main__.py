"""`python -m whichlayer`, the command line of the installed package, in which this is `whichlayer/__main__.py`."""

from whichlayer.commands.launcher import main

main()
