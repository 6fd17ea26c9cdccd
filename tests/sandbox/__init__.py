"""Tests of the sandbox: the pure rooms with fake time, the server through a real client."""
