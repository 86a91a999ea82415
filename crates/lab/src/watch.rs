//! What is seen of a training while it goes on: a bar in a terminal, plain lines elsewhere, the course's lines, TensorBoard. And
//! what is kept of it: metrics and checkpoints. A signal ends it between two steps.

use crate::board::Board;
use crate::run::Run;
use crate::settings::Plan;
use crate::show::{Bar, Lines};
use crate::{show, signals};
use chainrule::models::Model;
use chainrule::tensor::Tensor;
use chainrule::train::checkpoint::Checkpoints;
use chainrule::train::{CheckEvent, CourseLog, Flow, Moment, Observer, Quiet, StepEvent};
use std::io::Write;
use std::time::Duration;

/// Shows the training and records it.
pub struct Watch<'a> {
    run: &'a mut Run,
    board: Option<Board>,
    face: Face,
    checkpoints: Checkpoints,
    /// The signal that stopped the training.
    stopped: Option<i32>,
}

enum Face {
    Bar(Bar),
    Course(CourseLog<Box<dyn Write>>),
    Lines(Lines<Box<dyn Write>>),
    Nothing(Quiet),
}

/// Between two plain lines.
const PAUSE: Duration = Duration::from_secs(5);

impl Face {
    fn of(plan: &Plan, steps: usize) -> Face {
        // With --json, standard output is for the one line at the end.
        let out = || -> Box<dyn Write> {
            if plan.json { Box::new(std::io::stderr()) } else { Box::new(std::io::stdout()) }
        };
        match (plan.quiet, plan.verbose, Bar::possible()) {
            (true, _, _) => Face::Nothing(Quiet),
            (_, true, _) => Face::Course(CourseLog { out: out(), every: plan.print_every }),
            (_, _, true) => Face::Bar(Bar::new(steps, plan.epochs)),
            (_, _, false) => Face::Lines(Lines::new(out(), plan.epochs, PAUSE)),
        }
    }
}

impl<'a> Watch<'a> {
    /// For a training of so many steps, recorded and saved in a run, and on a board if there is one.
    ///
    /// # Errors
    /// If the plan does not say how often to save.
    pub fn new(
        plan: &Plan,
        steps: usize,
        run: &'a mut Run,
        board: Option<Board>,
    ) -> chainrule::Result<Watch<'a>> {
        let cadence = plan.checkpoint_every.parse()?;
        let checkpoints = Checkpoints::new(&run.directory, cadence, &run.config);
        Ok(Watch { run, board, face: Face::of(plan, steps), checkpoints, stopped: None })
    }

    fn face(&mut self) -> &mut dyn Observer {
        match &mut self.face {
            Face::Bar(bar) => bar,
            Face::Course(lines) => lines,
            Face::Lines(lines) => lines,
            Face::Nothing(quiet) => quiet,
        }
    }

    /// Leaves the terminal as it was, and waits until the last checkpoint is on the disk. The signal that stopped the training,
    /// and what became of the checkpoint.
    pub fn finish(self) -> (Option<i32>, chainrule::Result<()>) {
        if let Face::Bar(bar) = &self.face {
            bar.finish();
        }
        (self.stopped, self.checkpoints.finish())
    }

    /// Tells the board, if there is one; a board that cannot be written is given up.
    fn tell_board(&mut self, tell: impl FnOnce(&mut Board) -> chainrule::Result<()>) {
        if let Some(Err(problem)) = self.board.as_mut().map(tell) {
            show::warning(&format!("{problem}; the training goes on without TensorBoard"));
            self.board = None;
        }
    }
}

impl Observer for Watch<'_> {
    fn step(&mut self, e: &StepEvent) -> chainrule::Result<()> {
        self.face().step(e)?;
        self.tell_board(|board| board.step(e));
        self.run.step(e)
    }

    fn check(&mut self, e: &CheckEvent) -> chainrule::Result<()> {
        self.face().check(e)?;
        self.tell_board(|board| board.check(e));
        self.run.check(e)
    }

    fn weights(
        &mut self,
        e: &CheckEvent,
        model: &dyn Model,
        grads: &[Tensor],
    ) -> chainrule::Result<()> {
        self.tell_board(|board| board.weights(e, model, grads));
        Ok(())
    }

    fn moment(&mut self, moment: &Moment<'_>) -> chainrule::Result<Flow> {
        self.checkpoints.moment(moment)?;
        if let Some(problem) = self.checkpoints.problem() {
            let but = "the training goes on, and the checkpoint before it is kept";
            show::warning(&format!("{problem}; {but}"));
        }
        self.stopped = signals::asked();
        if self.stopped.is_none() {
            return Ok(Flow::Go);
        }
        if !moment.is_last {
            self.checkpoints.save(moment);
        }
        Ok(Flow::Stop)
    }
}
