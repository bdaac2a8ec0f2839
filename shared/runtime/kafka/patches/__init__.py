"""What we change in aiokafka and Faust; each file names the fault upstream that it stands for, and when it may go."""
