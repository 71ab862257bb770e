"""`python -m edge` is the command `edge-pose`."""

from edge.cli import entry

if __name__ == "__main__":
    entry()
