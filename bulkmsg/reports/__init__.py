"""Results in, text out: what the commands answer, for people and for programs. Pure: no file, no stream, no clock."""
