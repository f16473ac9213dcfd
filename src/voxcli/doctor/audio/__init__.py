"""Recordings: which are listened to, what is heard in them, and what that says of their files."""
