"""Programs for a workstation and for this repository: `python -m tools.convert`."""
