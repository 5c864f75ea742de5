//! A worker: one thread, one device, one loaded model.

use std::marker::PhantomData;

use crate::{Engine, TaskError, WorkerDevice};

/// A worker on its thread, before its model is loaded.
pub struct Worker<'a, I> {
    device: WorkerDevice,
    input: PhantomData<&'a I>,
}

impl<I: Send + 'static> Worker<'_, I> {
    /// The device to load the model on.
    pub fn device(&self) -> WorkerDevice {
        self.device
    }

    /// Warms `engine` up, measures how many rows pay in a batch, and serves until the server stops.
    ///
    /// # Errors
    /// When the warm-up fails.
    pub fn serve<E: Engine<Input = I>>(self, _engine: E) -> Result<(), TaskError> {
        unimplemented!()
    }
}
