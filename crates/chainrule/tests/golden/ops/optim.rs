//! Update rules, as the course and as PyTorch spell them.

use std::collections::BTreeMap;

use chainrule::optim::{OptimConfig, Rule, State, UpdateRule};
use chainrule::tensor::Tensor;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{array, tensor};
use crate::compare::{Out, Outputs};
use crate::draws::Inputs;
use crate::format::{Array, Case};

/// A rule at work, with what the files keep beside its configuration.
pub struct Made {
    pub rule: Box<dyn UpdateRule>,
    pub learning_rate: f64,
    /// Steps taken before.
    pub step: u64,
}

/// Makes a rule from a configuration in the course's or PyTorch's words.
pub fn make(name: &str, config: &Map<String, Value>) -> Result<Made, String> {
    let rule = Rule::named(&name.to_lowercase()).map_err(|e| e.to_string())?;
    let (mut learning_rate, mut step) = (rule.learning_rate, 0);
    let mut ours = Map::new();
    for (key, value) in config {
        let number = || value.as_f64().ok_or_else(|| format!("{key} is {value}"));
        match key.as_str() {
            "learning_rate" | "lr" => learning_rate = number()?,
            "t" => step = number()? as u64,
            "epsilon" => _ = ours.insert("eps".into(), value.clone()),
            "initial_accumulator_value" => {
                ours.insert("initial_accumulator".into(), value.clone());
            }
            "betas" => {
                let pair = value.as_array().filter(|pair| pair.len() == 2);
                let pair = pair.ok_or_else(|| format!("betas is {value}"))?;
                ours.insert("beta1".into(), pair[0].clone());
                ours.insert("beta2".into(), pair[1].clone());
            }
            _ => _ = ours.insert(key.clone(), value.clone()),
        }
    }
    let config: OptimConfig =
        serde_json::from_value(Value::Object(ours)).map_err(|e| e.to_string())?;
    let rule = rule.make(&config).map_err(|e| e.to_string())?;
    Ok(Made { rule, learning_rate, step })
}

/// What the rule remembers of its only parameter, by name, and the number of steps.
fn state(rule: &dyn UpdateRule, into: &mut Outputs) {
    let state = rule.state();
    into.insert("t".into(), Out::Int(state.step as i64));
    let tensors = state.slots.into_iter().flatten();
    into.extend(tensors.map(|(name, value)| (name, array(&value))));
}

/// One update from a given state.
pub fn step(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        rule: String,
        config: Map<String, Value>,
        state: Vec<String>,
    }
    let (args, inputs): (Args, _) = (case.args()?, Inputs::of(case)?);
    let Made { mut rule, learning_rate, step } = make(&args.rule, &args.config)?;
    let mut slot = Vec::new();
    for name in args.state {
        let value = tensor(inputs.get(&name)?);
        slot.push((name, value));
    }
    rule.load_state(State { step, slots: vec![slot] }).map_err(|e| e.to_string())?;
    let mut w = tensor(inputs.get("w")?);
    rule.begin_step();
    rule.update(0, &mut w, &tensor(inputs.get("dw")?), learning_rate, true);
    let mut got = Outputs::from([("next_w".into(), array(&w))]);
    state(&*rule, &mut got);
    Ok(got)
}

/// Several tensors of one shape as one, along a new first axis.
fn stacked(tensors: &[Tensor]) -> Out {
    let shape: Vec<usize> =
        [tensors.len()].iter().chain(tensors[0].shape().iter()).copied().collect();
    Array::new(&shape, tensors.iter().flat_map(Tensor::to_vec).collect()).into()
}

/// Several updates from the beginning.
pub fn sequence(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        rule: String,
        config: Map<String, Value>,
        steps: usize,
    }
    let (args, inputs): (Args, _) = (case.args()?, Inputs::of(case)?);
    let Made { mut rule, learning_rate, .. } = make(&args.rule, &args.config)?;
    let mut w = tensor(inputs.get("w")?);
    let mut after = Vec::new();
    for step in 0..args.steps {
        rule.begin_step();
        let dw = tensor(inputs.get(&format!("dw{step}"))?);
        rule.update(0, &mut w, &dw, learning_rate, true);
        after.push(w.clone());
    }
    let mut got = Outputs::from([("w_after".into(), stacked(&after))]);
    state(&*rule, &mut got);
    Ok(got)
}

/// Several steps of two parameters with PyTorch's options.
pub fn torch(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        optimizer: String,
        config: Map<String, Value>,
        steps: usize,
    }
    let (args, inputs): (Args, _) = (case.args()?, Inputs::of(case)?);
    let Made { mut rule, learning_rate, .. } = make(&args.optimizer, &args.config)?;
    let mut params = Vec::new();
    while let Ok(param) = inputs.get(&format!("p{}", params.len())) {
        params.push(tensor(param));
    }
    let mut after: BTreeMap<usize, Vec<Tensor>> = BTreeMap::new();
    for step in 0..args.steps {
        rule.begin_step();
        for (i, param) in params.iter_mut().enumerate() {
            let gradient = tensor(inputs.get(&format!("g{step}_{i}"))?);
            rule.update(i, param, &gradient, learning_rate, true);
            after.entry(i).or_default().push(param.clone());
        }
    }
    let named = after.iter().map(|(i, after)| (format!("p{i}_after_each_step"), stacked(after)));
    Ok(named.collect())
}
