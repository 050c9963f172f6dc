"""Images: files, sets and their folders, low-resolution sides, patches."""
