//! The defaults of the chosen model, update rule and schedule, filled in.

use super::{Plan, Widths, as_flags};
use anyhow::Result;
use chainrule::optim::{Rule, schedule};

impl Plan {
    /// Fills in the model's defaults.
    pub(super) fn settle_model(&mut self) -> Result<()> {
        let c = as_flags(self.architecture()?.effective(&self.model_config()?))?;
        self.hidden = c.hidden.map(Widths);
        self.norm = c.norm.map(|n| n.name().to_string());
        (self.dropout_keep, self.weight_scale) = (c.dropout_keep, c.weight_scale);
        self.channels = c.channels.map(Widths);
        self.layers = c.layers.map(Widths);
        self.growth = c.growth;
        self.init = c.init.map(|i| i.name().to_string());
        (self.filters, self.filter_size) = (c.filters, c.filter_size);
        Ok(())
    }

    /// Fills in the rule's defaults, so that the written configuration says what was used.
    pub(super) fn settle_rule(&mut self) -> Result<()> {
        let rule = Rule::named(&self.optim)?;
        let c = as_flags(rule.effective(&self.optim_config()))?;
        self.optim = rule.name.to_string();
        self.lr.get_or_insert(rule.learning_rate);
        (self.momentum, self.nesterov, self.dampening) = (c.momentum, c.nesterov, c.dampening);
        (self.beta1, self.beta2, self.eps, self.amsgrad) = (c.beta1, c.beta2, c.eps, c.amsgrad);
        self.vector_rate = c.vector_rate;
        (self.decay_rate, self.centered, self.weight_decay) =
            (c.decay_rate, c.centered, c.weight_decay);
        (self.lr_decay, self.initial_accumulator) = (c.lr_decay, c.initial_accumulator);
        Ok(())
    }

    /// As [`Plan::settle_rule`], for the schedule.
    pub(super) fn settle_schedule(&mut self) -> Result<()> {
        let kind = schedule::Kind::named(&self.schedule)?;
        let c = as_flags(kind.effective(&self.schedule_config()))?;
        self.schedule = kind.name.to_string();
        (self.every, self.gamma, self.min_lr) = (c.every, c.gamma, c.min_lr);
        self.milestones = c.milestones.map(Widths);
        (self.warmup_epochs, self.pct_start) = (c.warmup_epochs, c.pct_start);
        (self.div_factor, self.final_div_factor) = (c.div_factor, c.final_div_factor);
        Ok(())
    }
}
