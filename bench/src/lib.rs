//! Timings behind a quiet-machine gate.
