"""When the next request may start: arithmetic that is told the time and answers how long to wait.

No clock, no asyncio, no input or output may live here; all times are seconds of one clock that never goes back.

pacer         three limits of which the longest wait wins, and what an answer teaches them
counts        a bucket that leaks; a log of our own requests; one reading of the helpdesk's counter
judge         how the helpdesk counts: in a bucket or in windows of time
others        what other applications on the account use
learned       what one run of ours knows of the account, for another
retry_after   the pause that a 429 asks for
"""

from bulkmsg.pacing.judge import Counting
from bulkmsg.pacing.learned import Learned
from bulkmsg.pacing.pacer import Pacer
from bulkmsg.pacing.retry_after import retry_after_seconds

__all__ = ["Counting", "Learned", "Pacer", "retry_after_seconds"]
