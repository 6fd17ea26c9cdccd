"""Other helpdesks' exports to tickets of a batch: one file for each source, behind one small interface (`words`).

Everything here is pure: records come in with their places, tickets go out. Files are read and written by `app`.
"""
