"""What this repository itself needs: lock files and pictures."""
