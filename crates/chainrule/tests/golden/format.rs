//! The files: cases, recipes for inputs, and how they are read. golden/README.md describes the format.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Numbers with a shape, row-major; both the inputs and the results of a case.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Array {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

impl Array {
    pub fn new(shape: &[usize], data: Vec<f64>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "shape {shape:?}");
        Self { shape: shape.to_vec(), data }
    }
}

/// How to make one input.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draw {
    /// Absent where the numbers are only drawn to move the generator on.
    #[serde(default)]
    pub name: String,
    pub kind: String,
    pub shape: Vec<usize>,
    pub low: Option<i64>,
    pub high: Option<i64>,
    pub start: Option<f64>,
    pub stop: Option<f64>,
    pub data: Option<Vec<f64>>,
    pub mul: Option<f64>,
    pub add: Option<f64>,
    pub round: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    pub seed: u32,
    pub draws: Vec<Draw>,
}

/// One case, as it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub id: String,
    pub op: String,
    pub rng: Option<Recipe>,
    #[serde(default)]
    args: Map<String, Value>,
    pub expect: Map<String, Value>,
    pub rtol: f64,
    pub atol: f64,
    // For human readers.
    #[serde(rename = "seed_ref", default)]
    _seed_ref: Value,
    #[serde(rename = "printed", default)]
    _printed: Value,
    #[serde(rename = "note", default)]
    _note: Value,
}

impl Case {
    /// The arguments, as the op wants them. An argument that `T` does not know is an error: nothing is overlooked.
    pub fn args<T: DeserializeOwned>(&self) -> Result<T, String> {
        let args = Value::Object(self.args.clone());
        serde_json::from_value(args).map_err(|e| format!("args: {e}"))
    }

    /// What to run: the op, and with it the class of a whole network or the variant of a loss, which arrive one by one.
    pub fn kind(&self) -> String {
        let text = |name: &str| self.args.get(name).and_then(Value::as_str);
        let class = self.args.get("net").and_then(|net| net.get("class")?.as_str());
        let is_weighted = self.args.get("weighted") == Some(&Value::Bool(true));
        let reduction = text("reduction").filter(|reduction| *reduction != "mean");
        match class.or(text("net")).or(reduction).or(is_weighted.then_some("weighted")) {
            Some(variant) => format!("{}/{variant}", self.op),
            None => self.op.clone(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    cases: Vec<Case>,
}

/// Reads a file; the error says which and why.
pub fn read(path: &Path) -> Result<Vec<Case>, String> {
    let name = path.display();
    let text = fs::read(path).map_err(|e| format!("cannot read {name}: {e}"))?;
    let file: File = serde_json::from_slice(&text).map_err(|e| format!("{name}: {e}"))?;
    if file.format != "chainrule-goldens-1" {
        return Err(format!("{name}: format {:?}; want \"chainrule-goldens-1\"", file.format));
    }
    let mut ids: Vec<&str> = file.cases.iter().map(|case| case.id.as_str()).collect();
    ids.sort_unstable();
    match ids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("{name}: two cases are called {}", pair[0])),
        None => Ok(file.cases),
    }
}
