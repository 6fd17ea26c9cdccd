"""What the helpdesk says of a batch before anything is sent: questions, what the answers mean, and the findings.

Pure: questions are generators of steps that somebody else carries out.
"""
