"""The collection: users, faces, vectors and the operations on them."""
