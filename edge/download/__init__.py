"""Resumable HTTP downloads: partial files, archives, a progress bar."""
