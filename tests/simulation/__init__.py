"""Whole histories of the tool on a clock that jumps: one seed is one history, and a checker that knows only what a
person could know from outside."""
