"""The suite as one tree of processes: started in order, kept running, stopped in order."""
