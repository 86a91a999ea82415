//! The commands, one file each.

pub mod bench;
pub mod gradcheck;
pub mod home;
pub mod summary;
pub mod train;
