"""The one way in: what turns a decoded request, of whichever wire, into a queued one."""
