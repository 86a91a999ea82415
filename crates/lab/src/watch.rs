//! What is seen of a training while it goes on: a bar in a terminal, plain lines elsewhere, the course's lines, TensorBoard.

use crate::board::Board;
use crate::run::Run;
use crate::settings::Plan;
use crate::show::{Bar, Lines};
use chainrule::models::Model;
use chainrule::tensor::Tensor;
use chainrule::train::{CheckEvent, CourseLog, Observer, Quiet, StepEvent};
use std::io::Write;
use std::time::Duration;

/// Shows the training and records it.
pub struct Watch<'a> {
    run: &'a mut Run,
    board: Option<Board>,
    face: Face,
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
    /// For a training of so many steps, recorded in a run, and on a board if there is one.
    pub fn new(plan: &Plan, steps: usize, run: &'a mut Run, board: Option<Board>) -> Watch<'a> {
        Watch { run, board, face: Face::of(plan, steps) }
    }

    fn face(&mut self) -> &mut dyn Observer {
        match &mut self.face {
            Face::Bar(bar) => bar,
            Face::Course(lines) => lines,
            Face::Lines(lines) => lines,
            Face::Nothing(quiet) => quiet,
        }
    }

    /// Leaves the terminal as it was.
    pub fn finish(&self) {
        if let Face::Bar(bar) = &self.face {
            bar.finish();
        }
    }
}

impl Observer for Watch<'_> {
    fn step(&mut self, e: &StepEvent) -> chainrule::Result<()> {
        self.face().step(e)?;
        self.board.as_mut().map_or(Ok(()), |board| board.step(e))?;
        self.run.step(e)
    }

    fn check(&mut self, e: &CheckEvent) -> chainrule::Result<()> {
        self.face().check(e)?;
        self.board.as_mut().map_or(Ok(()), |board| board.check(e))?;
        self.run.check(e)
    }

    fn weights(
        &mut self,
        e: &CheckEvent,
        model: &dyn Model,
        grads: &[Tensor],
    ) -> chainrule::Result<()> {
        self.board.as_mut().map_or(Ok(()), |board| board.weights(e, model, grads))
    }
}
