use crate::Snippet;
use chainrule::optim::{OptimConfig, Progress, Schedule, ScheduleConfig, make};
use chainrule::tensor::Tensor;

pub const SNIPPETS: &[Snippet] = &[("valley", valley), ("schedules", schedules)];

fn valley() -> chainrule::Result<()> {
    // show: valley
    // f(w) = (w0^2 + 50 w1^2) / 2: a valley fifty times as steep in one direction as in the other.
    let gradient = |w: &Tensor| {
        let w = w.data::<f64>();
        Tensor::new([2], &[w[0], 50.0 * w[1]])
    };
    for (name, rate) in [("sgd", 0.02), ("momentum", 0.02), ("rmsprop", 0.1), ("adam", 0.3)] {
        let mut rule = make(name, &OptimConfig::NONE)?;
        let mut w = Tensor::new([2], &[4.0, 1.0]);
        for _ in 0..60 {
            rule.begin_step();
            let dw = gradient(&w);
            rule.update(0, &mut w, &dw, rate, false);
        }
        println!("{name:9} {w:.3}");
    }
    // end
    Ok(())
}

fn schedules() -> chainrule::Result<()> {
    // show: schedules
    for name in ["constant", "exponential", "cosine", "one-cycle"] {
        let schedule = Schedule::by_name(name, &ScheduleConfig::default())?;
        let at = |step| format!("{:.4}", schedule.lr(0.1, Progress::new(step, 1000, 100)));
        println!("{name:11} {}", [0, 250, 500, 750, 999].map(at).join("  "));
    }
    // end
    Ok(())
}
