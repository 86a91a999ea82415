//! Makes the inputs of a case from its recipe.

use chainrule::rng::NumpyRng;

use super::format::{Array, Case, Draw, Recipe};

/// The inputs of a case, in the order in which they were drawn, and the generator after drawing them.
pub struct Inputs {
    drawn: Vec<(String, Array)>,
    pub rng: NumpyRng,
}

impl Inputs {
    /// Performs the draws of the case's recipe.
    pub fn of(case: &Case) -> Result<Self, String> {
        let Some(Recipe { seed, draws }) = &case.rng else {
            return Err("the case has no recipe for its inputs".into());
        };
        let mut rng = NumpyRng::new(*seed);
        let mut drawn = Vec::new();
        for draw in draws {
            let array = perform(draw, &mut rng).map_err(|e| format!("input {}: {e}", draw.name))?;
            drawn.push((draw.name.clone(), array));
        }
        Ok(Self { drawn, rng })
    }

    /// The input of this name.
    pub fn get(&self, name: &str) -> Result<&Array, String> {
        let found = self.drawn.iter().find(|(of, _)| of == name);
        found.map(|(_, array)| array).ok_or_else(|| format!("the recipe draws no input {name:?}"))
    }

    /// The labels of this name.
    pub fn labels(&self, name: &str) -> Result<Vec<usize>, String> {
        Ok(self.get(name)?.data.iter().map(|&label| label as usize).collect())
    }
}

/// Performs one draw.
pub fn perform(draw: &Draw, rng: &mut NumpyRng) -> Result<Array, String> {
    let n = draw.shape.iter().product();
    let mut data = match draw.kind.as_str() {
        "randn" => rng.randn(n),
        "rand" => rng.rand(n),
        "randint" => {
            let (low, high) = draw.low.zip(draw.high).ok_or("randint needs low and high")?;
            (0..n).map(|_| rng.randint(low, high) as f64).collect()
        }
        "linspace" => {
            let (start, stop) = draw.start.zip(draw.stop).ok_or("linspace needs start and stop")?;
            linspace(start, stop, n)
        }
        "const" => draw.data.clone().ok_or("const needs data")?,
        other => return Err(format!("unknown kind {other:?}")),
    };
    if let Some(mul) = draw.mul {
        data.iter_mut().for_each(|x| *x *= mul);
    }
    if let Some(add) = draw.add {
        data.iter_mut().for_each(|x| *x += add);
    }
    match draw.round.as_deref() {
        None => {}
        Some("f32") => data.iter_mut().for_each(|x| *x = f64::from(*x as f32)),
        Some(other) => return Err(format!("unknown rounding {other:?}")),
    }
    if data.len() != n {
        return Err(format!("{} numbers for shape {:?}", data.len(), draw.shape));
    }
    Ok(Array::new(&draw.shape, data))
}

/// NumPy's formula, in its order of operations.
fn linspace(start: f64, stop: f64, n: usize) -> Vec<f64> {
    let step = (stop - start) / (n.max(2) - 1) as f64;
    let mut data: Vec<f64> = (0..n).map(|i| i as f64 * step + start).collect();
    if let Some(last) = data.last_mut().filter(|_| n > 1) {
        *last = stop;
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(json: &str) -> Result<Vec<f64>, String> {
        let draw: Draw = serde_json::from_str(json).map_err(|e| e.to_string())?;
        perform(&draw, &mut NumpyRng::new(231)).map(|array| array.data)
    }

    #[test]
    fn a_draw_is_scaled_shifted_and_rounded_in_this_order() {
        let recipe = r#"{"name":"x","kind":"rand","shape":[1],"mul":5,"add":12,"round":"f32"}"#;
        assert_eq!(draw(recipe).unwrap(), [f64::from((0.78149404082882f64 * 5.0 + 12.0) as f32)]);
    }

    #[test]
    fn linspace_ends_where_it_should() {
        let points = draw(r#"{"kind":"linspace","start":-0.4,"stop":0.6,"shape":[4,5]}"#).unwrap();
        assert_eq!((points[0], points[1], points[19]), (-0.4, 1.0 / 19.0 - 0.4, 0.6));
        assert_eq!(draw(r#"{"kind":"linspace","start":3,"stop":9,"shape":[1]}"#).unwrap(), [3.0]);
    }

    #[test]
    fn what_a_recipe_should_not_say_is_an_error() {
        for (recipe, want) in [
            (r#"{"kind":"cauchy","shape":[1]}"#, "unknown kind"),
            (r#"{"kind":"rand","shape":[1],"scale":2}"#, "unknown field"),
            (r#"{"kind":"rand","shape":[1],"round":"f16"}"#, "unknown rounding"),
            (r#"{"kind":"const","shape":[3],"data":[1]}"#, "1 numbers"),
        ] {
            let error = draw(recipe).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
    }
}
