"""What the machine and its control groups grant this process: cores and memory."""
