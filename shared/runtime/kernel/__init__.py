"""Pure rules of the machine: what a message is, what a decider is, what one batch makes of a state. No I/O."""
