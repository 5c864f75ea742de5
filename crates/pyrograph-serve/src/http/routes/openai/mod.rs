//! OpenAI's image routes, for models of the task `txt2img`.

pub(super) mod edits;
pub(in crate::http) mod events;
mod fields;
pub(super) mod generations;
mod request;
