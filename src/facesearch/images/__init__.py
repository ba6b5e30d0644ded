"""Pictures: read and decode untrusted files, resize, make thumbnails."""
