//! Servers on free ports.

use std::{net::SocketAddr, ops::ControlFlow, time::Duration};

use axum::Router;
use pyrograph_loadtest::{Load, LoadPlan, LoadReport, run};
use tokio::net::TcpListener;

/// Serves on a free port as long as the runtime lives; returns `http://127.0.0.1:PORT`.
pub(crate) async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// A port that nobody listens at.
pub(crate) async fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("an address")
}

pub(crate) fn plan(url: &str, requests: u64, clients: usize) -> LoadPlan {
    LoadPlan {
        requests: Some(requests),
        load: Load::Closed { clients },
        timeout: Duration::from_secs(20),
        ..LoadPlan::new(url)
    }
}

pub(crate) async fn measure(plan: LoadPlan) -> LoadReport {
    run(plan, |_| ControlFlow::Continue(()))
        .await
        .expect("a report")
}
