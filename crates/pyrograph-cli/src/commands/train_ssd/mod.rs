//! `pyrograph train ssd` and `pyrograph train distill`.

mod curves;
mod distill_flags;
mod job;
mod model_file;
mod options;
mod order;
mod step_time;
mod table;

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use pyrograph::backend::DeviceSpec;

use self::{distill_flags::DistillFlags, options::Options, order::Order};
pub(crate) use self::{
    order::TrainedRun,
    step_time::{StepTime, step_time},
    table::{check_table, train_by_table},
};
use crate::{
    arguments::{Common, read_recipe},
    training::{ENDS, RunArguments, lay_over},
};

#[derive(Args)]
#[command(after_help = ENDS)]
pub(crate) struct TrainSsd {
    #[command(flatten)]
    run: RunArguments,
    #[command(flatten)]
    options: Options,
    /// More devices of the same backend as --device, each of which takes a part of every batch:
    /// cuda:1,cuda:2.
    #[arg(long, value_delimiter = ',')]
    more_devices: Vec<DeviceSpec>,
    #[command(flatten)]
    common: Common,
}

impl TrainSsd {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let recipe: Options = read_recipe(self.run.config.as_ref())?;
        let order = Order {
            out: self.run.out,
            resume: self.run.resume,
            options: lay_over(self.options.clone(), recipe.under(&self.options))?,
            distill: None,
            more_devices: self.more_devices,
            common: &self.common,
        };
        order.run()
    }
}

#[derive(Args)]
#[command(after_help = ENDS)]
pub(crate) struct TrainDistill {
    #[command(flatten)]
    run: RunArguments,
    #[command(flatten)]
    distill: DistillFlags,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    common: Common,
}

impl TrainDistill {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let recipe: toml::Table = read_recipe(self.run.config.as_ref())?;
        let (recipe, distill) =
            table::parted(recipe).with_context(|| table::named(self.run.config.as_deref()))?;
        let order = Order {
            out: self.run.out,
            resume: self.run.resume,
            options: lay_over(self.options.clone(), recipe.under(&self.options))?,
            distill: Some(lay_over(self.distill, distill)?),
            more_devices: Vec::new(),
            common: &self.common,
        };
        order.run()
    }
}
