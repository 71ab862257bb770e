"""The processes around the agent, and the ways to take each away."""
