//! Pictures: the excerpt in the program, CIFAR-10 and MNIST as they are published, files of one's own, and batches made of bytes
//! as they are used.
//!
//! Every reader checks a length against what is left before it takes memory or reads; nothing of a file is run or written
//! anywhere. `fuzz/` feeds each of them bytes that no one has thought of.

pub mod archive;
mod augment;
pub mod cifar10;
mod dataset;
mod embedded;
pub mod files;
pub mod idx;
mod loader;
mod normalize;
mod open;
pub mod pickle;
pub mod pictures;
mod views;

pub use augment::{Augment, Augmented};
pub use dataset::{Dataset, Splits};
pub use embedded::{cifar10_mean_image, embedded};
pub use loader::{DataLoader, Epoch};
pub use normalize::{Normalization, Pictures, mean_image};
use open::unknown;
pub use open::{Request, is_published, open};
pub use views::Viewed;

/// The ten classes of CIFAR-10 in the order of their labels.
pub const CIFAR10_CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
