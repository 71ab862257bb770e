"""One run of the agent, from its config to its end."""
