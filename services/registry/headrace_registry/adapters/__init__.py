"""What the registry uses outside itself: Redis, the disk, and the process that checks models."""
