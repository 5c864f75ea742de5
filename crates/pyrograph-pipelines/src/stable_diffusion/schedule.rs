//! Which pass of the UNet each step of a walk is.

use std::ops::Range;

use super::{acceleration::Acceleration, request::refuse};
use crate::PipelineError;

/// The numbers of a UNet that acceleration depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct UNetTraits {
    /// Outputs on the way down that the way up takes: branches of DeepCache.
    pub(super) skips: usize,
    /// Resolutions.
    pub(super) levels: usize,
    /// Whether guidance is an input, so that there is no unconditional row.
    pub(super) embeds_guidance: bool,
}

impl Acceleration {
    /// The passes of a walk of `steps` steps, which is guided by a second row or not.
    ///
    /// # Errors
    /// When the numbers do not go with this UNet, with one another, or with so few steps.
    pub(super) fn schedule(
        &self,
        steps: usize,
        is_guided: bool,
        unet: UNetTraits,
    ) -> Result<PassSchedule, PipelineError> {
        self.check()?;
        if self.cache_branch >= unet.skips {
            let allowed = format!(
                "0 to {}, for the {} skips of this UNet",
                unet.skips - 1,
                unet.skips
            );
            return Err(refuse("cache_branch", self.cache_branch, &allowed));
        }
        if self.merge_levels > unet.levels {
            let allowed = format!("1 to {}, the levels of this UNet", unet.levels);
            return Err(refuse("merge_levels", self.merge_levels, &allowed));
        }
        let gate = self.gate_step.filter(|gate| *gate < steps);
        Ok(PassSchedule {
            interval: self.cache_interval,
            branch: self.cache_branch,
            gate,
            merging: (self.merge_ratio > 0.0).then_some(Merging {
                ratio: self.merge_ratio,
                levels: self.merge_levels,
            }),
            guided: self.guided_steps(steps, gate, is_guided, unet)?,
        })
    }

    /// The steps with two rows.
    fn guided_steps(
        &self,
        steps: usize,
        gate: Option<usize>,
        is_guided: bool,
        unet: UNetTraits,
    ) -> Result<Range<usize>, PipelineError> {
        let (from, until) = (self.guidance_from, self.guidance_until);
        let is_whole = from == 0.0 && until == 1.0;
        if unet.embeds_guidance && !is_whole {
            let seen = format!("{from}, and guidance_until {until}");
            let allowed =
                "0 and 1: this UNet reads guidance as an input, and has no row to leave out";
            return Err(refuse("guidance_from", seen, allowed));
        }
        if !is_guided {
            return Ok(0..0);
        }
        let place = |share: f64| (share * steps as f64).round() as usize;
        let guided = place(from)..place(until);
        if guided.is_empty() {
            let seen = format!("{from}, and guidance_until {until}, with {steps} steps");
            let allowed = "so far apart that a step lies between them";
            return Err(refuse("guidance_from", seen, allowed));
        }
        match gate {
            Some(gate) if guided.start >= gate => {
                let seen = format!("{from}, step {} of {steps}", guided.start);
                let allowed = format!(
                    "a step before the gate_step {gate}, from which on there is no guidance"
                );
                Err(refuse("guidance_from", seen, &allowed))
            }
            Some(gate) => Ok(guided.start..guided.end.min(gate)),
            None => Ok(guided),
        }
    }
}

/// Which pass each step of a walk is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PassSchedule {
    interval: usize,
    branch: usize,
    gate: Option<usize>,
    merging: Option<Merging>,
    guided: Range<usize>,
}

/// Merging of tokens, as a request asks for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Merging {
    pub(super) ratio: f64,
    pub(super) levels: usize,
}

/// What one pass of a walk is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PassKind {
    /// Whether there is an unconditional row.
    pub(super) is_guided: bool,
    pub(super) depth: Depth,
    pub(super) text: TextUse,
    pub(super) merging: Option<Merging>,
}

/// How deep a pass goes, and at which branch it keeps or takes features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    Full,
    Keep(usize),
    Shallow(usize),
}

/// What a pass does with the outputs of cross-attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextUse {
    /// Computes them.
    Computes,
    /// Computes them and keeps them for later passes.
    Keeps,
    /// Takes those that were kept.
    Takes,
}

impl PassSchedule {
    /// The pass of step `step`, counted from 0.
    pub(super) fn pass(&self, step: usize) -> PassKind {
        let is_guided = self.guided.contains(&step);
        let text = match self.gate {
            Some(gate) if step >= gate => TextUse::Takes,
            Some(gate) if step + 1 == gate => TextUse::Keeps,
            _ => TextUse::Computes,
        };
        // Where guidance begins there are no features of the unconditional row.
        let is_full = step.is_multiple_of(self.interval)
            || text == TextUse::Keeps
            || (is_guided && step == self.guided.start);
        let depth = match (self.interval, is_full) {
            (1, _) => Depth::Full,
            (_, true) => Depth::Keep(self.branch),
            (_, false) => Depth::Shallow(self.branch),
        };
        PassKind {
            is_guided,
            depth,
            text,
            merging: self.merging,
        }
    }
}

impl PassKind {
    /// The rows of a picture.
    pub(super) fn rows(self) -> usize {
        1 + usize::from(self.is_guided)
    }

    /// Whether passes of both kinds can be one: the same layers run, and read the text in the same way.
    pub(super) fn shares_a_pass_with(self, other: Self) -> bool {
        let takes = |kind: Self| kind.text == TextUse::Takes;
        self.depth == other.depth && takes(self) == takes(other) && self.merging == other.merging
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNET: UNetTraits = UNetTraits {
        skips: 12,
        levels: 4,
        embeds_guidance: false,
    };

    fn depths(acceleration: Acceleration, steps: usize) -> String {
        let schedule = acceleration.schedule(steps, true, UNET).unwrap();
        let letter = |step| match schedule.pass(step).depth {
            Depth::Full => 'f',
            Depth::Keep(_) => 'K',
            Depth::Shallow(_) => '.',
        };
        (0..steps).map(letter).collect()
    }

    fn rows(acceleration: Acceleration, steps: usize) -> Vec<usize> {
        let schedule = acceleration.schedule(steps, true, UNET).unwrap();
        (0..steps).map(|step| schedule.pass(step).rows()).collect()
    }

    #[test]
    fn the_default_is_a_plain_pass_at_every_step() {
        let schedule = Acceleration::default().schedule(3, true, UNET).unwrap();
        for step in 0..3 {
            let plain = PassKind {
                is_guided: true,
                depth: Depth::Full,
                text: TextUse::Computes,
                merging: None,
            };
            assert_eq!(schedule.pass(step), plain);
        }
        let off = Acceleration {
            gate_step: Some(3),
            ..Acceleration::default()
        };
        assert_eq!(off.schedule(3, true, UNET).unwrap(), schedule);
    }

    #[test]
    fn full_passes_come_at_the_interval_where_guidance_begins_and_before_the_gate() {
        let every_third = Acceleration {
            cache_interval: 3,
            ..Acceleration::default()
        };
        assert_eq!(depths(every_third, 8), "K..K..K.");
        let gated = Acceleration {
            gate_step: Some(5),
            ..every_third
        };
        assert_eq!(depths(gated, 8), "K..KK.K.");
        let late = Acceleration {
            guidance_from: 0.25,
            ..every_third
        };
        assert_eq!(depths(late, 8), "K.KK..K.");
    }

    #[test]
    fn guidance_has_two_rows_in_its_interval_and_before_the_gate() {
        let inside = Acceleration {
            guidance_from: 0.2,
            guidance_until: 0.6,
            ..Acceleration::default()
        };
        assert_eq!(rows(inside, 5), [1, 2, 2, 1, 1]);
        let gated = Acceleration {
            gate_step: Some(2),
            ..inside
        };
        assert_eq!(rows(gated, 5), [1, 2, 1, 1, 1]);
        let schedule = gated.schedule(5, true, UNET).unwrap();
        let text: Vec<_> = (0..5).map(|step| schedule.pass(step).text).collect();
        use TextUse::{Computes, Keeps, Takes};
        assert_eq!(text, [Computes, Keeps, Takes, Takes, Takes]);
        assert!(!schedule.pass(0).shares_a_pass_with(schedule.pass(2)));
        assert!(schedule.pass(0).shares_a_pass_with(schedule.pass(1)));
    }

    /// The refusal of the default with one change.
    fn refused(unet: UNetTraits, change: impl FnOnce(&mut Acceleration)) -> String {
        let mut acceleration = Acceleration::default();
        change(&mut acceleration);
        let refused = acceleration.schedule(10, true, unet);
        refused.expect_err("refused").to_string()
    }

    #[test]
    fn bad_numbers_are_refused_with_the_value_and_what_is_allowed() {
        for (message, words) in [
            (
                refused(UNET, |a| a.cache_interval = 0),
                ["cache_interval is 0", "1 or more"],
            ),
            (
                refused(UNET, |a| a.cache_branch = 12),
                ["cache_branch is 12", "0 to 11"],
            ),
            (
                refused(UNET, |a| a.gate_step = Some(0)),
                ["gate_step is 0", "1 or more"],
            ),
            (
                refused(UNET, |a| a.merge_ratio = 1.0),
                ["merge_ratio is 1", "0 to 0.75"],
            ),
            (
                refused(UNET, |a| a.merge_ratio = -0.1),
                ["merge_ratio is -0.1", "0 to 0.75"],
            ),
            (
                refused(UNET, |a| a.merge_ratio = f64::NAN),
                ["merge_ratio is NaN", "0 to 0.75"],
            ),
            (
                refused(UNET, |a| a.merge_levels = 0),
                ["merge_levels is 0", "1 or more"],
            ),
            (
                refused(UNET, |a| a.merge_levels = 5),
                ["merge_levels is 5", "1 to 4"],
            ),
            (
                refused(UNET, |a| a.guidance_from = 1.0),
                ["guidance_from is 1", "below 1"],
            ),
            (
                refused(UNET, |a| a.guidance_from = f64::NAN),
                ["guidance_from is NaN", "below 1"],
            ),
            (
                refused(UNET, |a| (a.guidance_from, a.guidance_until) = (0.6, 0.4)),
                ["guidance_until is 0.4", "above 0.6"],
            ),
            (
                refused(UNET, |a| a.guidance_until = 1.5),
                ["guidance_until is 1.5", "at most 1"],
            ),
            (
                refused(UNET, |a| (a.guidance_from, a.guidance_until) = (0.5, 0.52)),
                ["0.5, and guidance_until 0.52, with 10 steps", "a step"],
            ),
            (
                refused(UNET, |a| (a.guidance_from, a.gate_step) = (0.5, Some(5))),
                ["guidance_from is 0.5, step 5 of 10", "gate_step 5"],
            ),
        ] {
            let found = words.iter().all(|word| message.contains(word));
            assert!(found, "{message}");
        }
        let embedding = UNetTraits {
            embeds_guidance: true,
            ..UNET
        };
        let message = refused(embedding, |a| a.guidance_until = 0.5);
        assert!(
            message.contains("guidance_until 0.5") && message.contains("input"),
            "{message}"
        );
    }
}
