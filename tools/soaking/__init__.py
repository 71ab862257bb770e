"""The stages of tools/soak.py: what the agent needs around it, what is done to it, what is measured and judged."""
