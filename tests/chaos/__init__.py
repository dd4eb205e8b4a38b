"""What happens to accepted events when the process is killed."""
