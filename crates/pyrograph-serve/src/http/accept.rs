//! The `Accept` header.

use axum::http::{HeaderMap, header};

use crate::{Refusal, RefusalKind};

/// The types that a client takes, with their weights.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Accept(Vec<Range>);

#[derive(Clone, Debug, PartialEq)]
struct Range {
    kind: String,
    subkind: String,
    weight: f32,
}

impl Accept {
    /// The types of a request; all where it names none.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).iter();
        let texts = values.filter_map(|value| value.to_str().ok());
        let ranges: Vec<_> = texts
            .flat_map(|text| text.split(','))
            .filter_map(Range::read)
            .collect();
        if ranges.is_empty() {
            return Self(vec![Range {
                kind: "*".into(),
                subkind: "*".into(),
                weight: 1.0,
            }]);
        }
        Self(ranges)
    }

    /// The weight of a type by its most specific range, and how specific that is.
    fn rank(&self, media_type: &str) -> Option<(f32, u8)> {
        let (kind, subkind) = media_type.split_once('/')?;
        let matching = self.0.iter().filter_map(|range| {
            let specific = range.specificity(kind, subkind)?;
            Some((range.weight, specific))
        });
        let best = matching.max_by(|a, b| a.1.cmp(&b.1).then(a.0.total_cmp(&b.0)))?;
        (best.0 > 0.0).then_some(best)
    }

    /// The type among `offers` that the client likes best: by weight, then by how exactly the client
    /// names it, then by the order of the offers.
    pub(super) fn best<'a>(&self, offers: &[&'a str]) -> Option<&'a str> {
        let mut best: Option<(&str, (f32, u8))> = None;
        for offer in offers {
            let Some(rank) = self.rank(offer) else {
                continue;
            };
            if best.is_none_or(|(_, other)| rank > other) {
                best = Some((offer, rank));
            }
        }
        best.map(|(offer, _)| offer)
    }

    /// Like [`best`](Self::best).
    ///
    /// # Errors
    /// When the client takes none of them.
    pub(super) fn choose<'a>(&self, offers: &[&'a str], what: &str) -> Result<&'a str, Refusal> {
        self.best(offers).ok_or_else(|| {
            let message = format!(
                "{what} comes as {}, but `Accept` allows {}",
                offers.join(" or "),
                self.text()
            );
            Refusal::new(RefusalKind::NotAcceptable, message)
        })
    }

    /// Whether the client names event streams, and likes no other answer better.
    pub(super) fn wants_events(&self) -> bool {
        let events = "text/event-stream";
        let is_named = |range: &Range| range.kind == "text" && range.subkind == "event-stream";
        self.0.iter().any(is_named)
            && self.best(&[events, "application/json", "image/png"]) == Some(events)
    }

    fn text(&self) -> String {
        let names = self
            .0
            .iter()
            .map(|range| format!("{}/{}", range.kind, range.subkind));
        names.collect::<Vec<_>>().join(", ")
    }
}

impl Range {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subkind) = parts.next()?.split_once('/')?;
        let weight = parts
            .filter_map(|part| part.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
            .map_or(Some(1.0), |(_, value)| value.trim().parse::<f32>().ok())?;
        (0.0..=1.0).contains(&weight).then(|| Self {
            kind: kind.to_ascii_lowercase(),
            subkind: subkind.to_ascii_lowercase(),
            weight,
        })
    }

    /// How exactly it names a type; nothing where it does not match.
    fn specificity(&self, kind: &str, subkind: &str) -> Option<u8> {
        match (self.kind == kind, self.subkind == subkind) {
            (true, true) => Some(2),
            (true, false) if self.subkind == "*" => Some(1),
            _ if self.kind == "*" && self.subkind == "*" => Some(0),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(text: &str) -> Accept {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, text.parse().unwrap());
        Accept::of(&headers)
    }

    const OFFERS: [&str; 3] = ["image/png", "application/json", "image/jpeg"];

    #[test]
    fn weights_then_exact_names_then_the_order_of_offers_decide() {
        for (text, best) in [
            ("*/*", Some("image/png")),
            ("image/*", Some("image/png")),
            ("image/jpeg", Some("image/jpeg")),
            (
                "application/json, text/plain, */*",
                Some("application/json"),
            ),
            (
                "application/json;q=0.5, image/png;q=0.4",
                Some("application/json"),
            ),
            ("image/png;q=0, */*", Some("application/json")),
            ("IMAGE/PNG ; Q=0.3", Some("image/png")),
            ("text/html", None),
            ("*/*;q=0", None),
        ] {
            assert_eq!(accept(text).best(&OFFERS), best, "{text}");
        }
        assert_eq!(
            Accept::of(&HeaderMap::new()).best(&OFFERS),
            Some("image/png")
        );
    }

    #[test]
    fn headers_that_do_not_read_allow_everything() {
        for text in ["", "nonsense", "image/png;q=high", ";;,,"] {
            assert_eq!(accept(text).best(&OFFERS), Some("image/png"), "{text}");
        }
    }

    #[test]
    fn events_come_to_those_who_name_them() {
        assert!(accept("text/event-stream").wants_events());
        assert!(accept("text/event-stream, */*").wants_events());
        assert!(!accept("*/*").wants_events());
        assert!(!accept("text/event-stream;q=0.1, image/png").wants_events());
    }
}
