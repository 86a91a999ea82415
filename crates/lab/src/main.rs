//! The `chainrule` program.
fn main() {}
