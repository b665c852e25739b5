//! Tests of the runs as a whole.
