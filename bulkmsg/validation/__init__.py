"""Entries become messages, or findings with a place. Pure: reads through the readers, talks to nobody."""
