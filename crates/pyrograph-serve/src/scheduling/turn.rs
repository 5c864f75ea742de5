//! Workers of several models on one device compute by turns.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use parking_lot::{Mutex, MutexGuard};
use pyrograph_backend::DeviceSpec;

/// The lock of each device. A device is one for the whole process, and so is its lock.
static DEVICES: LazyLock<Mutex<HashMap<DeviceSpec, Arc<Mutex<()>>>>> =
    LazyLock::new(Mutex::default);

/// The right to compute on a device, one step at a time.
#[derive(Clone, Debug)]
pub(crate) struct Turn(Arc<Mutex<()>>);

impl Turn {
    pub(crate) fn of(device: DeviceSpec) -> Self {
        Self(DEVICES.lock().entry(device.resolve()).or_default().clone())
    }

    /// Computes while no other worker does on this device. The lock goes to whoever has waited longest.
    pub(crate) fn take<T>(&self, compute: impl FnOnce() -> T) -> T {
        let guard = self.0.lock();
        let result = compute();
        MutexGuard::unlock_fair(guard);
        result
    }
}
