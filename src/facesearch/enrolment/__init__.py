"""Enrol photos: judge the photos of a user, index folders, audit a collection."""
