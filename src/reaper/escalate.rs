//! One script from its start to its last process: a state machine without a clock or a system call.
