//! Hyperparameters by name: what a user may set, what each rule takes, what values make sense.

use crate::error::{Error, Result};

/// Declares a table of keys as two structs: `$given` with what a user has set, and `$hyper` with what a rule then uses.
macro_rules! keys {
    (
        $(#[$given_doc:meta])* $given:ident, $(#[$hyper_doc:meta])* $hyper:ident;
        $($(#[$key_doc:meta])* $key:ident $(or $alias:literal)?: $ty:ty, $want:literal, $right:expr;)*
    ) => {
        $(#[$given_doc])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $given {
            $(
                $(#[$key_doc])*
                #[serde($(alias = $alias,)? skip_serializing_if = "Option::is_none")]
                pub $key: Option<$ty>,
            )*
        }

        $(#[$hyper_doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(super) struct $hyper {
            $($(#[$key_doc])* pub $key: $ty,)*
        }

        impl $given {
            /// Nothing is set.
            pub const NONE: $given = $given { $($key: None,)* };

            /// The names of the keys that are set.
            pub fn given(&self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(if self.$key.is_some() { names.push(stringify!($key)); })*
                names
            }

            /// These keys, and those of `defaults` where these are not set.
            pub fn or(&self, defaults: &$given) -> $given {
                $given { $($key: self.$key.clone().or_else(|| defaults.$key.clone()),)* }
            }

            /// The values. A key that is not set is 0, false or empty: its owner does not read it.
            pub(super) fn values(&self) -> $hyper {
                $hyper { $($key: self.$key.clone().unwrap_or_default(),)* }
            }

            /// That every value which is set makes sense.
            ///
            /// # Errors
            /// The first that does not.
            pub(super) fn check(&self) -> $crate::Result<()> {
                $(if let Some(value) = &self.$key {
                    let right: fn(&$ty) -> bool = $right;
                    if !right(value) {
                        return Err($crate::Error::value(stringify!($key), format!("it is {value:?}"), $want));
                    }
                })*
                Ok(())
            }
        }
    };
}
pub(super) use keys;

keys! {
    /// The hyperparameters of update rules that a user has set; the rest is up to the rule. Which rule takes which, and with
    /// what defaults, is in [`RULES`](super::RULES). The learning rate is not among them: it comes with every update.
    OptimConfig,
    /// The hyperparameters of a rule: [`OptimConfig`] with the rule's defaults.
    Hyper;

    /// Factor of the old velocity.
    momentum: f64, "it must be from 0 to 1", |v| (0.0..=1.0).contains(v);
    /// Whether the step looks ahead along the velocity (Nesterov).
    nesterov: bool, "", |_| true;
    /// What the gradient loses before it enters the velocity, as a part of itself.
    dampening: f64, "it must be from 0 to 1", |v| (0.0..=1.0).contains(v);
    /// Decay of the average of gradients.
    beta1: f64, "it must be at least 0 and below 1", |v| (0.0..1.0).contains(v);
    /// Decay of the average of squared gradients.
    beta2: f64, "it must be at least 0 and below 1", |v| (0.0..1.0).contains(v);
    /// Added to the root in the denominator.
    eps: f64, "it must be a number from 0 up", from_zero;
    /// Decay of RMSprop's averages; PyTorch's `alpha`.
    decay_rate or "alpha": f64, "it must be at least 0 and below 1", |v| (0.0..1.0).contains(v);
    /// Whether RMSprop divides by the root of the variance instead of the mean square.
    centered: bool, "", |_| true;
    /// Whether Adam divides by the largest average of squares met so far.
    amsgrad: bool, "", |_| true;
    /// Pull of the weights towards zero. Added to the gradient (L2); AdamW applies it to the weights.
    weight_decay: f64, "it must be a number from 0 up", from_zero;
    /// How fast Adagrad lowers its learning rate: it divides by 1 + (t - 1) lr_decay.
    lr_decay: f64, "it must be a number from 0 up", from_zero;
    /// What Adagrad's sum of squares starts from.
    initial_accumulator: f64, "it must be a number from 0 up", from_zero;
}

fn from_zero(v: &f64) -> bool {
    v.is_finite() && *v >= 0.0
}

/// That all keys of `given` are among `taken`.
///
/// # Errors
/// The first that is not: it would have no effect.
pub(super) fn check_taken(given: &[&str], owner: &str, taken: &[&str]) -> Result<()> {
    let Some(key) = given.iter().find(|key| !taken.contains(key)) else {
        return Ok(());
    };
    let want = match taken {
        [] => "it has no keys".to_string(),
        _ => format!("it takes {}", taken.join(", ")),
    };
    Err(Error::value(*key, format!("{owner} does not take it"), want))
}

/// An error about a name that is not in a list: the list, and the closest of them if one is close.
pub(super) fn unknown(key: &str, name: &str, known: &[&str]) -> Error {
    let list = format!("known are {}", known.join(", "));
    let want = match closest(name, known) {
        Some(near) => format!("did you mean {near}? {list}"),
        None => list,
    };
    Error::value(key, format!("{name:?} is unknown"), want)
}

/// The name that takes the fewest changed letters, if those are at most half of them.
fn closest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase();
    let (distance, near) = known.iter().map(|k| (edits(&name, k), *k)).min_by_key(|(d, _)| *d)?;
    (distance * 2 <= near.chars().count()).then_some(near)
}

/// Letters to insert, remove or replace to turn `a` into `b` (Levenshtein 1965).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, n) in [("", "", 0), ("adam", "adam", 0), ("adma", "adam", 2), ("", "sgd", 3)] {
            assert_eq!((edits(a, b), edits(b, a)), (n, n), "{a} {b}");
        }
        assert_eq!(edits("kitten", "sitting"), 3);
    }

    #[test]
    fn only_close_names_are_suggested() {
        let known = ["sgd", "adagrad", "adam", "adamw"];
        assert_eq!(closest("Adam", &known), Some("adam"));
        assert_eq!(closest("adagard", &known), Some("adagrad"));
        assert_eq!(closest("transformer", &known), None);
    }
}
