//! Parameters that are trained differently from the others.

use crate::error::{Error, Result};
use crate::models::Param;

/// Parameters whose names begin alike, and how they are trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The beginning of their names, whole parts of it: `layer1` or `layer1.0.conv1`, or a whole name; empty for all parameters.
    pub prefix: String,
    /// Factor of their learning rate.
    pub rate: f64,
    /// Whether weight decay pulls at them; `None` to leave that as the model has it (weights yes; biases, scales and shifts no).
    pub decay: Option<bool>,
}

impl Group {
    /// All parameters, with weight decay for all of them, as PyTorch's optimizers do unless told otherwise.
    pub fn decay_all() -> Group {
        Group { prefix: String::new(), rate: 1.0, decay: Some(true) }
    }

    /// The groups of a list of factors such as `fc=10,conv1=0.1`.
    ///
    /// # Errors
    /// If an entry is not a name and a factor from 0 up.
    pub fn rates(list: &str) -> Result<Vec<Group>> {
        let group = |entry: &str| {
            let (prefix, rate) = entry.split_once('=')?;
            let rate = rate.trim().parse().ok().filter(|r: &f64| r.is_finite() && *r >= 0.0)?;
            let prefix = prefix.trim().to_string();
            (!prefix.is_empty()).then_some(Group { prefix, rate, decay: None })
        };
        let entries = list.split(',').filter(|entry| !entry.trim().is_empty());
        let parse = |entry: &str| {
            let wrong = || {
                Error::value("rates", format!("{entry:?}"), "expected NAME=FACTOR, as in fc=0.1")
            };
            group(entry).ok_or_else(wrong)
        };
        entries.map(parse).collect()
    }

    fn has(&self, name: &str) -> bool {
        let rest = name.strip_prefix(&self.prefix[..]);
        self.prefix.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// How each parameter is trained: the factor of its rate, and whether it decays. Of the groups that a parameter is in the last
    /// one counts.
    ///
    /// # Errors
    /// If a group has no parameters.
    pub fn settle(groups: &[Group], params: &[Param]) -> Result<Vec<(f64, bool)>> {
        if let Some(nobody) = groups.iter().find(|g| !params.iter().any(|p| g.has(&p.name))) {
            let mut heads: Vec<&str> =
                params.iter().filter_map(|p| p.name.split('.').next()).collect();
            heads.dedup();
            let found = format!("no parameter's name begins with {:?}", nobody.prefix);
            return Err(Error::value(
                "rates",
                found,
                format!("they begin with {}", heads.join(", ")),
            ));
        }
        let of = |p: &Param| {
            let own = groups.iter().filter(|g| g.has(&p.name));
            own.fold((1.0, p.decay), |(_, decay), g| (g.rate, g.decay.unwrap_or(decay)))
        };
        Ok(params.iter().map(of).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{DType, Tensor};

    #[test]
    fn the_last_group_counts_and_a_name_is_taken_by_whole_parts() {
        let param = |name: &str| Param {
            name: name.to_string(),
            value: Tensor::ones([1], DType::F32),
            decay: name.ends_with("weight"),
        };
        let params = ["fc.weight", "fc.bias", "fc1.weight", "W1"].map(param);
        let settle = |groups: &[Group]| Group::settle(groups, &params);
        assert_eq!(settle(&[]).unwrap(), [(1.0, true), (1.0, false), (1.0, true), (1.0, false)]);
        let mut groups = vec![Group::decay_all()];
        groups.extend(Group::rates("fc=10, fc.bias=0,W1=0.5").unwrap());
        assert_eq!(settle(&groups).unwrap(), [(10.0, true), (0.0, true), (1.0, true), (0.5, true)]);
        let error = settle(&Group::rates("f=2").unwrap()).unwrap_err().to_string();
        assert!(error.contains("\"f\"") && error.contains("fc, fc1, W1"), "{error}");
        for wrong in ["fc", "fc=", "=2", "fc=-1", "fc=nan"] {
            assert!(Group::rates(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Group::rates("").unwrap(), []);
    }
}
