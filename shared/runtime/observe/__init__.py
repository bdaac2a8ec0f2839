"""What people see of a running process: logs and metrics."""
