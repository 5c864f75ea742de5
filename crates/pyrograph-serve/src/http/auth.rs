//! Bearer tokens, and whose request it is.

use std::net::SocketAddr;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::{ClientKey, Refusal, RefusalKind};

use super::{app::SharedApp, body, errors::Failure, observe::RequestId};

/// Address of the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// The digests of the tokens that are allowed. Their length is equal, so that a comparison does not
/// tell the length of a token.
#[derive(Debug)]
pub(super) struct Tokens(Vec<[u8; 32]>);

impl Tokens {
    pub(super) fn new(tokens: &[String]) -> Self {
        Self(
            tokens
                .iter()
                .map(|token| digest(token.as_bytes()))
                .collect(),
        )
    }

    /// Whether no token is asked for.
    pub(super) fn is_off(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose a token is; nothing for an unknown one. Takes equal time wherever they differ.
    fn client(&self, token: &[u8]) -> Option<ClientKey> {
        let seen = digest(token);
        let mut is_known = Choice::from(0);
        for known in &self.0 {
            is_known |= known.ct_eq(&seen);
        }
        bool::from(is_known).then(|| {
            let letters: String = seen[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            ClientKey(format!("token-{letters}"))
        })
    }
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The token of a request.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let space = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, token) = value.split_at(space);
    scheme
        .eq_ignore_ascii_case(b"bearer")
        .then(|| token.trim_ascii())
}

fn identify(app: &SharedApp, request: &Request) -> Result<ClientKey, Refusal> {
    if app.tokens.is_off() {
        let peer = request.extensions().get::<Peer>();
        return Ok(ClientKey(
            peer.map_or_else(String::new, |peer| peer.0.ip().to_string()),
        ));
    }
    let refuse = |message| Err(Refusal::new(RefusalKind::Unauthorized, message));
    match bearer(request.headers()) {
        None => {
            refuse("this server asks for a token: send the header `Authorization: Bearer TOKEN`")
        }
        Some(token) => match app.tokens.client(token) {
            Some(client) => Ok(client),
            None => refuse("the token is not known to this server"),
        },
    }
}

/// Lets requests pass that carry a token, where one is asked for.
pub(super) async fn check_token(
    State(app): State<SharedApp>,
    mut request: Request,
    next: Next,
) -> Response {
    match identify(&app, &request) {
        Ok(client) => {
            request.extensions_mut().insert(client);
            next.run(request).await
        }
        Err(refusal) => {
            body::discard(request).await;
            Failure(refusal).into_response()
        }
    }
}

/// Whose request it is, and its id.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) client: ClientKey,
    pub(super) id: RequestId,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self {
            client: parts.extensions.get().cloned().unwrap_or_default(),
            id: parts.extensions.get().cloned().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_found_and_no_other() {
        let tokens = Tokens::new(&["first".into(), "second".into()]);
        let keys = [b"first".as_slice(), b"second"].map(|token| tokens.client(token));
        assert!(keys.iter().all(Option::is_some) && keys[0] != keys[1]);
        for token in [b"".as_slice(), b"firs", b"firstsecond", b"FIRST"] {
            assert_eq!(tokens.client(token), None);
        }
    }

    #[test]
    fn the_scheme_is_read_in_any_case_and_others_are_none() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, text.parse().unwrap());
            bearer(&headers).map(<[u8]>::to_vec)
        };
        assert_eq!(of("bearer  abc "), Some(b"abc".to_vec()));
        assert_eq!(of("Basic abc"), None);
        assert_eq!(of("abc"), None);
    }
}
