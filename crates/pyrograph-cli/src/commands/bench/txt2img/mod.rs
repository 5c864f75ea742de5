//! `pyrograph bench txt2img`: time, memory and cost of pictures by steps and type of the weights.

mod chart;
mod figures;
mod likeness;
mod measure;
mod order;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use pyrograph::{
    backend::{
        list_devices,
        vision::{exact_convolutions, exact_products},
    },
    diffusion::SchedulerName,
    vision::write_png,
};

pub(crate) use self::order::OneType;
use self::{
    figures::{Report, TypeFigures},
    order::Order,
};
use crate::{
    arguments::Common, dtype::DtypeName, outputs::check_outputs, schedulers::scheduler_parser,
    stop::remove_on_interrupt,
};

#[derive(Args)]
pub(crate) struct BenchTxt2Img {
    /// A diffusers folder, or a single-file checkpoint [default: random weights of the shapes of
    /// Stable Diffusion 2.1-base].
    #[arg(long, value_name = "DIR|FILE")]
    model: Option<PathBuf>,
    /// Denoising steps of a picture, 1 to 1000, several with commas.
    #[arg(long, value_delimiter = ',', default_value = "20,30,50", value_parser = clap::value_parser!(u32).range(1..=1000))]
    steps: Vec<u32>,
    /// Types of the weights in memory, several with commas; each is measured in a process of its
    /// own.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "f32,bf16")]
    dtype: Vec<DtypeName>,
    /// Price of an hour of this machine, in any currency: adds the cost of 1000 pictures [default:
    /// none].
    #[arg(long, value_name = "PRICE", value_parser = price, allow_negative_numbers = true)]
    price_per_hour: Option<f64>,
    /// Scale of classifier-free guidance; at 1 and below the UNet computes one row a picture, not
    /// two.
    #[arg(long, default_value_t = 7.5, allow_negative_numbers = true)]
    guidance: f64,
    /// Width in pixels, a multiple of the VAE's factor (8) [default: the model's own].
    #[arg(long)]
    width: Option<usize>,
    /// Height in pixels, a multiple of the VAE's factor (8) [default: the model's own].
    #[arg(long)]
    height: Option<usize>,
    /// Pictures that are made at once.
    #[arg(short = 'n', long = "count", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    count: u32,
    /// The scheduler, which decides on the passes of the UNet [default: that of the model; without
    /// one pndm].
    #[arg(long, value_parser = scheduler_parser())]
    scheduler: Option<SchedulerName>,
    /// A tiny VAE (TAESD), which decodes in place of the model's VAE [default: none].
    #[arg(long, value_name = "DIR|FILE", requires = "model")]
    taesd: Option<PathBuf>,
    /// Measured runs of each part, of which the median counts; with --whole, of each number of
    /// steps.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeats: u32,
    /// Make whole pictures of each number of steps, instead of computing their time from a few
    /// passes; those of other types are compared with those of f32 where it is among the types.
    #[arg(long)]
    whole: bool,
    /// Write a picture: seconds a picture over steps, a line for each type.
    #[arg(long, value_name = "FILE.png")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// A price that costs can be computed from.
fn price(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    let legal = number.filter(|number| number.is_finite() && *number >= 0.0);
    legal.ok_or_else(|| "allowed are finite numbers from 0 on".into())
}

impl BenchTxt2Img {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        self.check()?;
        self.common.try_device()?;
        let orders: Vec<Order> = self.dtype.iter().map(|dtype| self.order(*dtype)).collect();
        let measured = match &orders[..] {
            [order] => vec![order.measure()?],
            orders => self.measure_all(orders)?,
        };
        let report = self.report(measured);
        if let Some(path) = &self.plot {
            write_png(path, &chart::chart(&report)?)?;
        }
        let text = table::in_words(&report);
        self.common.print(&serde_json::to_value(&report)?, &text)
    }

    /// Measures several types, and compares whole pictures with those of f32.
    fn measure_all(&self, orders: &[Order]) -> anyhow::Result<Vec<TypeFigures>> {
        let in_f32 = orders
            .iter()
            .any(|order| order.dtype == likeness::REFERENCE);
        if !self.whole || !in_f32 {
            return orders.iter().map(Order::measure_in_a_process).collect();
        }
        let folder = tempfile::tempdir().context("a temporary folder for pictures")?;
        remove_on_interrupt(folder.path().into())?;
        let keeping = orders.iter().map(|order| Order {
            pictures: Some(folder.path().to_owned()),
            ..order.clone()
        });
        let measured = keeping.map(|order| order.measure_in_a_process());
        let mut types = measured.collect::<anyhow::Result<Vec<_>>>()?;
        likeness::compare(folder.path(), &mut types, self.count as usize)?;
        Ok(types)
    }

    /// Refuses what can be refused before anything is loaded.
    fn check(&self) -> anyhow::Result<()> {
        if let Some(model) = self.model.iter().find(|model| !model.exists()) {
            bail!(
                "--model {}: there is no such folder or file; without --model the weights are random",
                model.display()
            );
        }
        let names: Vec<_> = self.dtype.iter().map(|dtype| name_of(*dtype)).collect();
        let steps: Vec<_> = self.steps.iter().map(u32::to_string).collect();
        for (flag, list) in [("--dtype", &names), ("--steps", &steps)] {
            let twice = (1..list.len()).find(|place| list[..*place].contains(&list[*place]));
            if let Some(place) = twice {
                bail!("{flag} lists {} twice: give it once", list[place]);
            }
        }
        let outputs = self.plot.iter().map(|path| ("--plot", path.as_path()));
        let outputs: Vec<(&str, &Path)> = outputs.collect();
        let inputs = self.model.iter().chain(&self.taesd).cloned();
        check_outputs(&outputs, &inputs.collect::<Vec<_>>())
    }

    /// What is to be measured in one type.
    fn order(&self, dtype: DtypeName) -> Order {
        Order {
            model: self.model.clone(),
            taesd: self.taesd.clone(),
            dtype: name_of(dtype),
            steps: self.steps.iter().map(|steps| *steps as usize).collect(),
            guidance: self.guidance,
            width: self.width,
            height: self.height,
            count: self.count as usize,
            scheduler: self.scheduler.map(|name| name.to_string()),
            repeats: self.repeats as usize,
            whole: self.whole,
            pictures: None,
            device: self.common.device,
            exact_convolutions: exact_convolutions(),
            exact_products: exact_products(),
            quiet: self.common.quiet,
        }
    }

    fn report(&self, types: Vec<TypeFigures>) -> Report {
        let device = self.common.device.resolve().to_string();
        let line = list_devices().into_iter().find(|line| line.spec == device);
        let [width, height] = types.first().map_or([0; 2], |figures| figures.size);
        let report = Report {
            model: self.model.as_ref().map(|path| path.display().to_string()),
            weights: match self.model {
                Some(_) => "files",
                None => "random",
            },
            threads: line.as_ref().and_then(|line| line.threads),
            vectors: line.and_then(|line| line.vectors),
            device,
            width,
            height,
            guidance: self.guidance,
            count: self.count as usize,
            scheduler: self.scheduler.map(|name| name.to_string()),
            repeats: self.repeats as usize,
            method: if self.whole { "whole" } else { "computed" },
            price_per_hour: None,
            types,
        };
        match self.price_per_hour {
            Some(price) => report.at_price(price),
            None => report,
        }
    }
}

/// The name of a type, as the command line spells it.
fn name_of(dtype: DtypeName) -> String {
    let value = dtype.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_finite_and_not_negative() {
        assert_eq!([price("0"), price("0.34")], [0.0, 0.34].map(Ok));
        for text in ["-1", "nan", "inf", "", "1 EUR"] {
            assert!(price(text).is_err(), "{text}");
        }
    }
}
