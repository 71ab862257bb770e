"""Linux: facts about the machine, and services for a process."""
