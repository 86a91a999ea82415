//! Keys by name: what a user may set, what each owner takes, what values make sense. Update rules, schedules and models have them.

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
        pub(crate) struct $hyper {
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
            pub(crate) fn values(&self) -> $hyper {
                $hyper { $($key: self.$key.clone().unwrap_or_default(),)* }
            }

            /// That every value which is set makes sense.
            ///
            /// # Errors
            /// The first that does not.
            pub(crate) fn check(&self) -> $crate::Result<()> {
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
pub(crate) use keys;

/// That all keys of `given` are among `taken`.
///
/// # Errors
/// The first that is not: it would have no effect.
pub(crate) fn check_taken(given: &[&str], owner: &str, taken: &[&str]) -> Result<()> {
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
pub(crate) fn unknown(key: &str, name: &str, known: &[&str]) -> Error {
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
