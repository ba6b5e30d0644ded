"""Search a collection by photo, face or user, and compare two photos."""
