//! Lists of whole numbers in settings.

use serde::{Deserialize, Serialize};

/// A list of whole numbers, written as `200,150`. In a file also as an array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Widths(pub Vec<usize>);

impl<'de> Deserialize<'de> for Widths {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            List(Vec<usize>),
            Text(String),
        }
        match Form::deserialize(d)? {
            Form::List(list) => Ok(Widths(list)),
            Form::Text(text) => widths(&text).map_err(serde::de::Error::custom),
        }
    }
}

/// The list in a text.
pub fn widths(text: &str) -> std::result::Result<Widths, String> {
    let parse = |part: &str| {
        part.trim().parse::<usize>().map_err(|_| format!("{part:?} is not a whole number"))
    };
    if text.trim().is_empty() {
        return Ok(Widths(Vec::new()));
    }
    text.split(',').map(parse).collect::<std::result::Result<_, _>>().map(Widths)
}
