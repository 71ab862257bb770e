"""A model in a child process: process, messages, shared memory."""
