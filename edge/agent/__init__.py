"""One run of the agent: builds it from its config, runs it, ends it."""
