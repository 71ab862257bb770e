"""The agent and the processes around it, each of which can be killed."""
