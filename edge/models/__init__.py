"""Models by name: manifest, files, download and selection."""
