//! The closed loop: clients that wait for their answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, task::JoinSet};

use crate::client::{Client, Sample};

/// Starts `clients` clients, which send requests until `requests` are sent in all or `duration` has passed.
/// Dropping the set ends them.
pub(crate) fn start(
    client: &Arc<Client>,
    clients: usize,
    requests: Option<u64>,
    duration: Option<Duration>,
    samples: &mpsc::Sender<Sample>,
) -> JoinSet<()> {
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let is_over = move |index| {
        requests.is_some_and(|requests| index >= requests)
            || duration.is_some_and(|duration| started.elapsed() >= duration)
    };
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let (client, next, samples) = (Arc::clone(client), Arc::clone(&next), samples.clone());
        tasks.spawn(async move {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if is_over(index) {
                    return;
                }
                let sample = client.call(index, Instant::now()).await;
                if samples.send(sample).await.is_err() {
                    return;
                }
            }
        });
    }
    tasks
}
