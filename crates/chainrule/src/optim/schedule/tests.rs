use super::*;

fn schedule(name: &str, config: ScheduleConfig) -> Schedule {
    Schedule::by_name(name, &config).unwrap()
}

/// The rates of all steps of a training.
fn rates(schedule: &Schedule, lr: f64, steps: usize, steps_per_epoch: usize) -> Vec<f64> {
    (0..steps).map(|s| schedule.lr(lr, Progress::new(s, steps, steps_per_epoch))).collect()
}

#[track_caller]
fn near(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= 1e-12 * w.abs(), "{got:?}\n{want:?}");
    }
}

const NONE: ScheduleConfig = ScheduleConfig::NONE;

#[test]
fn constant_is_constant() {
    near(&rates(&Schedule::constant(), 0.3, 3, 1), &[0.3; 3]);
    assert_eq!(rates(&schedule("constant", NONE), 0.3, 3, 1), [0.3; 3]);
}

// The expected rates of these four are those of torch.optim.lr_scheduler 2.x.

#[test]
fn the_epoch_schedules_are_pytorchs() {
    let step = schedule("step", ScheduleConfig { every: Some(3), ..NONE });
    near(&rates(&step, 0.1, 8, 1), &[0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001, 0.001]);
    let config = ScheduleConfig { milestones: Some(vec![2, 3, 6]), gamma: Some(0.5), ..NONE };
    let multistep = schedule("multistep", config);
    near(&rates(&multistep, 0.1, 8, 1), &[0.1, 0.1, 0.05, 0.025, 0.025, 0.025, 0.0125, 0.0125]);
    near(&rates(&schedule("exponential", NONE), 0.1, 4, 1), &[0.1, 0.095, 0.09025, 0.0857375]);
}

#[test]
fn exponential_is_the_courses_lr_decay() {
    let exponential = schedule("exponential", ScheduleConfig { gamma: Some(0.9), ..NONE });
    let mut lr = 1e-3;
    for (s, rate) in rates(&exponential, lr, 20, 4).into_iter().enumerate() {
        near(&[rate], &[lr]);
        // The course's Solver multiplies at the end of the last step of an epoch.
        if (s + 1) % 4 == 0 {
            lr *= 0.9;
        }
    }
}

#[test]
fn cosine_is_pytorchs() {
    let cosine = schedule("cosine", ScheduleConfig { min_lr: Some(0.01), ..NONE });
    let want = [
        0.1,
        0.0965745789630079,
        0.08681980515339463,
        0.07222075445642905,
        0.055,
        0.03777924554357096,
        0.023180194846605363,
        0.013425421036992097,
    ];
    near(&rates(&cosine, 0.1, 8, 3), &want);
    near(&[cosine.lr(0.1, Progress::new(8, 8, 3))], &[0.01]);
}

#[test]
fn one_cycle_is_pytorchs() {
    let cycle = schedule("one-cycle", NONE);
    let want = [
        0.004,
        0.052,
        0.1,
        0.09504846320134738,
        0.0811745653949763,
        0.06112620219362893,
        0.03887419780637107,
        0.0188258346050237,
        0.004951936798652629,
        4e-07,
    ];
    near(&rates(&cycle, 0.1, 10, 3), &want);
    // Where the top lies between two steps.
    let got = rates(&cycle, 0.5, 25, 25);
    near(
        &got[5..9],
        &[0.4396425795610643, 0.4930260361822525, 0.4989935775245158, 0.49099075121110264],
    );
    near(&got[24..], &[2e-6]);
}

#[test]
fn warm_up_rises_linearly_and_cosine_follows_it() {
    let config = ScheduleConfig { warmup_epochs: Some(0.5), ..NONE };
    let got = rates(&schedule("cosine", config), 1.0, 24, 8);
    near(&got[..5], &[0.25, 0.5, 0.75, 1.0, 1.0]);
    let cosine = rates(&schedule("cosine", NONE), 1.0, 20, 8);
    near(&got[4..], &cosine);
}

#[test]
fn epochs_count_through_the_warm_up() {
    let config = ScheduleConfig { every: Some(1), warmup_epochs: Some(1.5), ..NONE };
    let got = rates(&schedule("step", config), 1.0, 6, 2);
    near(&got, &[1.0 / 3.0, 2.0 / 3.0, 0.1, 0.1, 0.01, 0.01]);
}

#[test]
fn every_schedule_stays_within_bounds_in_short_and_long_trainings() {
    for kind in SCHEDULES {
        let milestones = kind.required.map(|_| vec![1, 2]);
        for warmup_epochs in [0.0, 0.1, 2.0, 100.0] {
            let config = ScheduleConfig {
                milestones: milestones.clone(),
                warmup_epochs: Some(warmup_epochs),
                ..NONE
            };
            let schedule = schedule(kind.name, config);
            assert_eq!(schedule.name(), kind.name);
            for steps in [0, 1, 2, 3, 4, 7, 100] {
                for rate in rates(&schedule, 0.1, steps, 3) {
                    assert!((0.0..=0.1).contains(&rate), "{} of {steps}: {rate}", kind.name);
                }
            }
        }
    }
}

#[test]
fn errors_name_the_key_and_what_would_be_right() {
    let error = |name, config| Schedule::by_name(name, &config).unwrap_err().to_string();
    let text = error("cosin", NONE);
    assert!(text.contains("did you mean cosine? known are constant, step"), "{text}");
    let text = error("cosine", ScheduleConfig { gamma: Some(0.5), ..NONE });
    assert_eq!(text, "gamma: cosine does not take it; it takes min_lr, warmup_epochs");
    let text = error("multistep", NONE);
    assert_eq!(text, "milestones: it is not given; multistep needs it");
    let text = error("multistep", ScheduleConfig { milestones: Some(vec![3, 3]), ..NONE });
    assert!(text.starts_with("milestones: it is [3, 3]; it must be a list"), "{text}");
    let text = error("step", ScheduleConfig { every: Some(0), ..NONE });
    assert_eq!(text, "every: it is 0; it must be at least 1 epoch");
    let text = error("exponential", ScheduleConfig { gamma: Some(f64::NAN), ..NONE });
    assert!(text.starts_with("gamma: it is NaN;"), "{text}");
}
