//! The routes.

mod health;
mod invocations;
mod jobs;
mod models;
pub(super) mod openai;
mod page;

use std::sync::Arc;

use axum::{
    Router,
    handler::Handler,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{MethodRouter, delete, get, post},
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{Refusal, RefusalKind};

use super::{
    app::SharedApp,
    auth::check_token,
    body,
    connections::AGAIN,
    errors::Failure,
    observe::{observe, panicked},
};

/// A route: its path, its method, and its handler.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) method: &'static str,
    /// Whether it asks for no token.
    pub(super) is_free: bool,
    handler: MethodRouter<SharedApp>,
}

impl Route {
    fn get<T: 'static>(path: &'static str, handler: impl Handler<T, SharedApp>) -> Self {
        Self::new(path, "get", get(handler))
    }

    fn post<T: 'static>(path: &'static str, handler: impl Handler<T, SharedApp>) -> Self {
        Self::new(path, "post", post(handler))
    }

    fn delete<T: 'static>(path: &'static str, handler: impl Handler<T, SharedApp>) -> Self {
        Self::new(path, "delete", delete(handler))
    }

    fn new(path: &'static str, method: &'static str, handler: MethodRouter<SharedApp>) -> Self {
        Self {
            path,
            method,
            is_free: false,
            handler,
        }
    }

    /// Whether it tells the health of the server, and costs next to nothing.
    fn is_health(&self) -> bool {
        ["/ping", "/livez", "/readyz"].contains(&self.path)
    }

    fn free(self) -> Self {
        Self {
            is_free: true,
            ..self
        }
    }
}

/// Every route. The OpenAPI document has an operation for each.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/", page::page).free(),
        Route::get("/openapi.json", page::openapi).free(),
        Route::get("/ping", health::ping).free(),
        Route::get("/livez", health::live).free(),
        Route::get("/readyz", health::ready).free(),
        Route::get("/metrics", health::metrics),
        Route::post("/invocations", invocations::invoke),
        Route::post("/models/{name}/invocations", invocations::invoke_named),
        Route::get("/models", models::models),
        Route::get("/v1/models", models::openai_models),
        Route::get("/v1/models/{name}", models::openai_model),
        Route::post("/v1/images/generations", openai::generations::generate),
        Route::post("/v1/images/edits", openai::edits::edit),
        Route::post("/v1/jobs", jobs::start),
        Route::get("/v1/jobs", jobs::list),
        Route::get("/v1/jobs/{id}", jobs::get),
        Route::delete("/v1/jobs/{id}", jobs::remove),
    ]
}

/// The routes with what surrounds them.
pub(super) fn router(app: &SharedApp) -> Router {
    let (mut free, mut guarded) = (Router::new(), Router::new());
    for route in routes() {
        let target = if route.is_free {
            &mut free
        } else {
            &mut guarded
        };
        *target = std::mem::take(target).route(route.path, route.handler);
    }
    let guarded = guarded.route_layer(from_fn_with_state(Arc::clone(app), check_token));
    let all = free
        .merge(guarded)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed);
    surrounded(all, app)
}

/// The routes of the reserve, which serves connections above the limit: health checks, and a refusal of everything else.
pub(super) fn reserve(app: &SharedApp) -> Router {
    let mut router = Router::new();
    for route in routes().into_iter().filter(Route::is_health) {
        router = router.route(route.path, route.handler);
    }
    surrounded(router.fallback(busy), app)
}

/// Panics and refusals become answers, and all of them are counted.
fn surrounded(router: Router<SharedApp>, app: &SharedApp) -> Router {
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(app), observe))
        .with_state(Arc::clone(app))
}

async fn busy(request: axum::extract::Request) -> Response {
    body::discard_within(request, AGAIN).await;
    let message = "the server has too many connections: try again";
    let refusal = Refusal::new(RefusalKind::Unavailable, message).with_retry_after(AGAIN);
    Failure(refusal).into_response()
}

async fn not_found(request: axum::extract::Request) -> Response {
    let message = format!(
        "there is no route {}: GET /openapi.json tells all of them",
        request.uri().path()
    );
    body::discard(request).await;
    Failure(Refusal::new(RefusalKind::NotFound, message)).into_response()
}

async fn method_not_allowed(request: axum::extract::Request) -> Response {
    let message = format!(
        "{} does not have {}",
        request.uri().path(),
        request.method()
    );
    body::discard(request).await;
    Failure(Refusal::new(RefusalKind::MethodNotAllowed, message)).into_response()
}
