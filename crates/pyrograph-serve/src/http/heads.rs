//! A time limit on the head of a request, apart from the time that a connection may wait for its next request.
//!
//! A balancer keeps connections open for a minute and sends into one at any time: a connection that is closed earlier meets
//! requests. A client that sends the head of a request slowly has much less time.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
    time::Instant,
};

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// A head is on its way since then; at the beginning, also before its first byte.
    Head(Instant),
    /// A request is served.
    Serving,
    /// The next request has not begun.
    Idle,
}

/// What a connection does, and since when.
#[derive(Debug)]
pub(super) struct Heads {
    phase: Mutex<Phase>,
    changed: Notify,
}

impl Heads {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            phase: Mutex::new(Phase::Head(Instant::now())),
            changed: Notify::new(),
        })
    }

    /// A head is complete: its request is served.
    pub(super) fn serving(&self) {
        self.turn_to(Phase::Serving);
    }

    /// The answer of a request has begun.
    pub(super) fn answered(&self) {
        self.turn_to(Phase::Idle);
    }

    fn arrived(&self) {
        if *self.phase.lock() == Phase::Idle {
            self.turn_to(Phase::Head(Instant::now()));
        }
    }

    fn turn_to(&self, phase: Phase) {
        *self.phase.lock() = phase;
        self.changed.notify_one();
    }

    /// Ends when a head takes longer than `limit`.
    pub(super) async fn overdue(&self, limit: Duration) {
        loop {
            let phase = *self.phase.lock();
            match phase {
                Phase::Head(since) => tokio::select! {
                    () = tokio::time::sleep_until(since + limit) => {
                        if *self.phase.lock() == phase {
                            return;
                        }
                    }
                    () = self.changed.notified() => {}
                },
                Phase::Serving | Phase::Idle => self.changed.notified().await,
            }
        }
    }
}

/// A socket that tells of the bytes that arrive.
pub(super) struct Watched {
    pub(super) stream: TcpStream,
    pub(super) heads: Arc<Heads>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.heads.arrived();
        }
        result
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
