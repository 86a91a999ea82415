//! The commands, one file each.

pub mod bench;
pub mod compare;
pub mod data;
pub mod eval;
pub mod explain;
pub mod gradcheck;
pub mod home;
pub mod lab;
pub mod lr_find;
pub mod predict;
pub mod report;
pub mod runs;
pub mod search;
pub mod summary;
pub mod train;
pub mod weights;
