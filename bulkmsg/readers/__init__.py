"""From files to raw entries with their places: YAML, CSV and JSON Lines, in memory that does not grow with the file.

Readers are generators. They yield values, and `Diagnostic` for what is wrong with the file; they raise for neither.
The members are imported one by one, so that nobody pays for a parser they do not use.
"""
