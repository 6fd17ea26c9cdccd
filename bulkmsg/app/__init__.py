"""The use cases: they wire the rooms together and return values. Nothing here prints or knows a command line."""
