//! What predictions are worth, as scikit-learn says it.

use chainrule::train::metrics::{ClassScore, cross_entropy, judge};
use chainrule::train::{Evaluation, argmax_rows};
use serde::Deserialize;

use super::tensor;
use crate::compare::{Out, Outputs, outputs};
use crate::draws::Inputs;
use crate::format::Case;

/// Loss, top-k accuracy, and what became of each class.
pub fn classes(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        /// So many of the last classes get 1,000 off their scores, so that they are never predicted.
        hushed: usize,
    }
    let (Args { hushed }, inputs) = (case.args()?, Inputs::of(case)?);
    let mut scores = inputs.get("scores")?.clone();
    let classes = scores.shape[1];
    for row in scores.data.chunks_exact_mut(classes) {
        row[classes - hushed..].iter_mut().for_each(|s| *s -= 1000.0);
    }
    let labels = inputs.labels("labels")?;
    let rows = scores.data.chunks_exact(classes).zip(&labels);
    let verdicts: Vec<_> = rows.map(|(row, label)| judge(row, *label, cross_entropy)).collect();
    let predicted: Vec<usize> = verdicts.iter().map(|v| v.predicted).collect();
    if predicted != argmax_rows(&tensor(&scores)) {
        return Err("the verdicts and argmax_rows predict different classes".into());
    }
    let evaluation = Evaluation { classes, verdicts };
    let confusion = evaluation.confusion();
    let all = confusion.scores();
    let each = |value: fn(&ClassScore) -> f64| -> Out {
        all.classes.iter().map(value).collect::<Vec<f64>>().into()
    };
    let mean = |c: ClassScore| -> Out { vec![c.precision, c.recall, c.f1].into() };
    let whole = |n: &u64| Out::Int(*n as i64);
    let support = all.classes.iter().map(|c| whole(&c.support)).collect();
    let counts = |row: &Vec<u64>| Out::List(row.iter().map(whole).collect());
    Ok(outputs([
        ("loss", evaluation.loss().into()),
        ("accuracy", confusion.accuracy().into()),
        ("top1", evaluation.top(1).into()),
        ("top5", evaluation.top(5).into()),
        ("precision", each(|c| c.precision)),
        ("recall", each(|c| c.recall)),
        ("f1", each(|c| c.f1)),
        ("support", Out::List(support)),
        ("macro", mean(all.macro_average)),
        ("weighted", mean(all.weighted_average)),
        ("confusion", Out::List(confusion.counts.iter().map(counts).collect())),
    ]))
}
