"""Rules of alerts, as a file has them: the monitor evaluates them, and the command line reads them too."""
