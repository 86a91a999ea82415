//! Randomness.
//!
//! Everything random is drawn from a generator *keyed* by what the numbers are for: (seed, purpose, epoch, sample). Draw number
//! i of a key is a pure function of the key and i, computed with a counter-based generator ([`philox`]). Nothing depends on what
//! was drawn before for something else, on the order of the work, or on who does it. So the same seed gives the same bits for
//! any number of threads, a training that was stopped resumes at step n without replaying n steps of draws, and a picture gets
//! the same crop in epoch 3 whichever batch it is in.
//!
//! [`NumpyRng`] is the exception: one long sequence, where each draw depends on all before it. It is kept because the reference
//! results of the course can only be reproduced with its bits.
//!
//! [`Rng`] is what networks and solvers take: either of the two.

mod keyed;
mod numpy;
pub mod philox;
mod streams;
#[cfg(test)]
mod tests;

pub use keyed::{DropoutKey, Key, KeyedRng, Purpose};
pub use numpy::{NumpyRng, NumpyState};
pub use streams::{Rng, RngState, Streams};
