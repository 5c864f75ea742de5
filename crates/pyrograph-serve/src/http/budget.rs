//! The bytes of all bodies that are in memory at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Refusal, RefusalKind};

use super::connections::AGAIN;

/// Bytes of bodies, where the largest body is small.
const BYTES: usize = 256 << 20;

/// The largest bodies that fit at least.
const LARGEST: usize = 4;

/// A permit stands for so many bytes.
const UNIT: usize = 1 << 10;

/// Bounds the bytes of the bodies that are read and parsed at once.
#[derive(Debug)]
pub(super) struct Budget(Arc<Semaphore>);

impl Budget {
    /// A budget for bodies of at most `body_bytes` each.
    pub(super) fn for_bodies_of(body_bytes: usize) -> Self {
        Self::new(BYTES.max(body_bytes.saturating_mul(LARGEST)))
    }

    fn new(bytes: usize) -> Self {
        let units = bytes.div_ceil(UNIT).min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(units)))
    }

    /// The share of a body of which nothing has arrived.
    pub(super) fn share(&self) -> Share {
        Share {
            all: Arc::clone(&self.0),
            units: 0,
            permit: None,
        }
    }
}

/// What one body has of the budget. It is given back when the share is dropped, once the body has been parsed.
#[derive(Debug)]
pub(super) struct Share {
    all: Arc<Semaphore>,
    units: usize,
    permit: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// Grows to `bytes`. Only bytes that have arrived count: a client that announces a body and sends none of it takes
    /// nothing from others.
    ///
    /// # Errors
    /// When other bodies have the rest.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let wanted = bytes.div_ceil(UNIT);
        let Some(more) = wanted.checked_sub(self.units).filter(|more| *more > 0) else {
            return Ok(());
        };
        let permit = u32::try_from(more)
            .ok()
            .and_then(|more| Arc::clone(&self.all).try_acquire_many_owned(more).ok());
        let Some(permit) = permit else {
            let message = "the server reads too many bodies at once: try again";
            return Err(Refusal::new(RefusalKind::Unavailable, message).with_retry_after(AGAIN));
        };
        match &mut self.permit {
            Some(own) => own.merge(permit),
            None => self.permit = Some(permit),
        }
        self.units = wanted;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;

    use super::*;
    use crate::http::body;

    #[test]
    fn bodies_share_their_bytes_and_give_them_back() {
        let budget = Budget::new(10 * UNIT);
        let (mut first, mut second) = (budget.share(), budget.share());
        first.grow(1).unwrap();
        first.grow(6 * UNIT).unwrap();
        first.grow(6 * UNIT - 5).unwrap();
        second.grow(4 * UNIT).unwrap();
        let refusal = second.grow(4 * UNIT + 1).unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::Unavailable);
        assert_eq!(refusal.retry_after, Some(AGAIN));
        drop(first);
        second.grow(10 * UNIT).unwrap();
        drop(second);
        assert_eq!(budget.0.available_permits(), 10);
    }

    #[tokio::test]
    async fn a_body_keeps_its_share_until_it_is_parsed() {
        let budget = Budget::new(10 * UNIT);
        let read = || async {
            let body = Body::from(vec![0; 6 * UNIT]);
            body::read(body, 8 * UNIT, Duration::from_secs(30), &budget).await
        };
        let (bytes, share) = read().await.unwrap();
        drop(bytes);
        assert_eq!(read().await.unwrap_err().kind, RefusalKind::Unavailable);
        drop(share);
        let (bytes, _share) = read().await.unwrap();
        assert_eq!(bytes.len(), 6 * UNIT);
    }

    #[test]
    fn four_of_the_largest_bodies_fit() {
        let largest = 200 << 20;
        let budget = Budget::for_bodies_of(largest);
        let mut shares: Vec<_> = (0..5).map(|_| budget.share()).collect();
        let fits = shares.iter_mut().map(|share| share.grow(largest).is_ok());
        assert_eq!(fits.collect::<Vec<_>>(), [true, true, true, true, false]);
    }
}
