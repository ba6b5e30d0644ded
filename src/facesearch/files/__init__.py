"""Write files safely: beside the target and renamed, never onto what must not be lost."""
