"""The stages of tools/soak: what the agent needs around it, what is done to it, what is measured and judged."""
