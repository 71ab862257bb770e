"""What Linux reports about this machine, and what it does for a process."""
