//! One file a command.

pub(crate) mod anomaly;
pub(crate) mod bench;
pub(crate) mod convert;
pub(crate) mod data_preview;
pub(crate) mod detect;
pub(crate) mod devices;
pub(crate) mod eval_compare;
pub(crate) mod eval_sprites;
pub(crate) mod eval_ssd;
pub(crate) mod forward;
pub(crate) mod gradcheck;
pub(crate) mod inspect;
pub(crate) mod loadtest;
pub(crate) mod pack;
pub(crate) mod pictures;
pub(crate) mod sample_dcgan;
pub(crate) mod sample_sprites;
pub(crate) mod serve;
pub(crate) mod train_dcgan;
pub(crate) mod train_sprites;
pub(crate) mod train_ssd;
pub(crate) mod train_sweep;
