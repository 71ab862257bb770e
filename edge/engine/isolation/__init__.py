"""A model in a child process: the process, its messages, the memory shared with it."""
