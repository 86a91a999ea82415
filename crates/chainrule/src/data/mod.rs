//! Pictures: the excerpt in the program, CIFAR-10's files, and batches made of bytes as they are used.

mod augment;
pub mod cifar10;
mod dataset;
mod embedded;
mod normalize;

pub use augment::{Augment, Augmented};
pub use dataset::{Dataset, Splits};
pub use embedded::embedded;
pub use normalize::{Normalization, Pictures, mean_image};

/// The ten classes of CIFAR-10 in the order of their labels.
pub const CIFAR10_CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
