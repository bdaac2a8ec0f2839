"""What we change in aiokafka for the whole process; each file names the upstream fault, and when it may go."""
