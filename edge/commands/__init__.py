"""What people type: one command each, from its arguments to its exit code."""
