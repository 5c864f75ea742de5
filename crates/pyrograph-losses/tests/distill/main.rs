//! The distillation objectives: golden values, values by hand, limits and refusals.

mod by_hand;
mod golden;
mod limits;
mod refusals;
mod step;
