"""Servers and load: a real model server as a handle, and what many clients at once see of it."""
