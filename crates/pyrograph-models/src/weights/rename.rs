//! Rules that turn pyrograph's field paths into published keys.

/// Replaces a part of a field path by the corresponding part of a published key. Both are whole
/// segments of a path (`norm1` does not match `norm10`); a dot at an end requires another segment
/// at that end.
#[derive(Clone, Copy, Debug)]
pub struct Rename {
    ours: &'static str,
    theirs: &'static str,
}

impl Rename {
    /// Replaces every `ours` in a field path by `theirs`.
    pub const fn new(ours: &'static str, theirs: &'static str) -> Self {
        Self { ours, theirs }
    }

    /// The path after this rule.
    pub(super) fn apply(&self, path: &str) -> String {
        let segments: Vec<&str> = path.split('.').collect();
        let ours: Vec<&str> = self.ours.trim_matches('.').split('.').collect();
        let first = usize::from(self.ours.starts_with('.'));
        let after = usize::from(self.ours.ends_with('.'));
        let theirs = self.theirs.trim_matches('.');
        let mut renamed: Vec<&str> = Vec::with_capacity(segments.len());
        let mut at = 0;
        while at < segments.len() {
            let end = at + ours.len();
            if at >= first && end + after <= segments.len() && segments[at..end] == ours[..] {
                renamed.extend((!theirs.is_empty()).then_some(theirs));
                at = end;
            } else {
                renamed.push(segments[at]);
                at += 1;
            }
        }
        renamed.join(".")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_replaces_whole_segments_only() {
        let rule = Rename::new("norm1", "0");
        assert_eq!(rule.apply("blocks.norm1.weight"), "blocks.0.weight");
        assert_eq!(rule.apply("norm1.norm1"), "0.0");
        assert_eq!(rule.apply("blocks.norm10.weight"), "blocks.norm10.weight");
        assert_eq!(rule.apply("prenorm1.weight"), "prenorm1.weight");
        let rule = Rename::new("attn.to_out", "attn.to_out.0");
        assert_eq!(rule.apply("a.attn.to_out.bias"), "a.attn.to_out.0.bias");
        assert_eq!(
            rule.apply("a.attn.to_out_add.bias"),
            "a.attn.to_out_add.bias"
        );
    }

    #[test]
    fn dots_at_the_ends_of_a_rule_demand_further_segments() {
        let rule = Rename::new(".conv.", ".0.");
        assert_eq!(rule.apply("a.conv.weight"), "a.0.weight");
        assert_eq!(rule.apply("conv.weight"), "conv.weight");
        assert_eq!(rule.apply("a.conv"), "a.conv");
        assert_eq!(
            Rename::new(".conv.", ".").apply("a.conv.weight"),
            "a.weight"
        );
    }
}
