"""The revisions of the database, oldest first. A revision that was released never changes."""
