use crate::Snippet;
use chainrule::models::{FullyConnectedConfig, FullyConnectedNet, Model};
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Tensor};
use chainrule::train::{Arrays, Flow, Moment, Observer, Quiet, Solver, SolverOptions, SolverState};

pub const SNIPPETS: &[Snippet] = &[("resume", resume)];

// show: stop
/// Stops a training after some steps and keeps its state.
struct StopAfter {
    step: usize,
    state: Option<SolverState>,
}

impl Observer for StopAfter {
    fn moment(&mut self, moment: &Moment<'_>) -> chainrule::Result<Flow> {
        if moment.step < self.step {
            return Ok(Flow::Go);
        }
        self.state = Some(moment.state());
        Ok(Flow::Stop)
    }
}
// end

fn resume() -> chainrule::Result<()> {
    // show: resume
    let x = Tensor::randn([60, 12], 1.0, DType::F32, &mut Rng::new(1));
    let data = Arrays::new(x, (0..60).map(|i| i % 3).collect());
    let fresh = || {
        let (input_shape, hidden) = (vec![12], vec![16]);
        let config = FullyConnectedConfig {
            input_shape,
            hidden,
            classes: 3,
            dropout_keep: 0.8,
            ..Default::default()
        };
        FullyConnectedNet::new(config, &mut Rng::new(0))
    };
    let options = SolverOptions { batch_size: 20, epochs: 4, ..Default::default() };
    let adam = || make("adam", &OptimConfig::NONE);

    let mut through = fresh();
    Solver::new(&mut through, adam()?, &data, &data, options.clone())
        .train(&mut Rng::new(0), &mut Quiet)?;

    let mut stop = StopAfter { step: 7, state: None };
    let mut first = fresh();
    Solver::new(&mut first, adam()?, &data, &data, options.clone())
        .train(&mut Rng::new(0), &mut stop)?;
    let (mut second, mut rng) = (fresh(), Rng::new(0)); // perhaps in another process, next week
    let mut solver = Solver::new(&mut second, adam()?, &data, &data, options);
    solver.restore(stop.state.expect("it was kept"), &mut rng)?;
    solver.train(&mut rng, &mut Quiet)?;

    let mut pairs = through.params().iter().zip(second.params());
    println!("bit for bit: {}", pairs.all(|(a, b)| a.value.to_vec() == b.value.to_vec()));
    // end
    Ok(())
}
