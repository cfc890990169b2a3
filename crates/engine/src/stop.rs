//! Stop strings in a stream of text pieces.

/// Passes text on until a stop string appears, also one that is spread over several pieces.
///
/// Text that could still become a stop string is held back, so that nothing is ever streamed that would
/// have to be taken back.
#[derive(Debug, Clone)]
pub(crate) struct StopMatcher {
    stops: Vec<String>,
    /// The end of the text so far that is a proper prefix of a stop string.
    held: String,
}

/// What a piece of text led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Matched {
    /// No stop string yet; this text may be shown.
    Text(String),
    /// A stop string appeared; this is the text before it.
    Stop(String),
}

impl StopMatcher {
    /// A matcher for these strings; empty ones are ignored.
    pub(crate) fn new(stops: &[String]) -> Self {
        let stops = stops.iter().filter(|s| !s.is_empty()).cloned().collect();
        Self {
            stops,
            held: String::new(),
        }
    }

    /// Takes the next piece. The stop string that *begins* first wins.
    pub(crate) fn push(&mut self, piece: &str) -> Matched {
        self.held.push_str(piece);
        let first = self
            .stops
            .iter()
            .filter_map(|stop| self.held.find(stop.as_str()))
            .min();
        if let Some(start) = first {
            let mut text = std::mem::take(&mut self.held);
            text.truncate(start);
            return Matched::Stop(text);
        }
        let keep = self
            .stops
            .iter()
            .map(|stop| overlap(&self.held, stop))
            .max()
            .unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        Matched::Text(std::mem::replace(&mut self.held, rest))
    }

    /// The end of the text: what was held back is ordinary text after all.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// The length in bytes of the longest end of `text` that is a proper prefix of `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let longest = text.len().min(stop.len() - 1);
    (1..=longest)
        .rev()
        .find(|n| stop.is_char_boundary(*n) && text.as_bytes().ends_with(&stop.as_bytes()[..*n]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn strings(stops: &[&str]) -> Vec<String> {
        stops.iter().map(|s| (*s).to_owned()).collect()
    }

    /// All text shown, and whether a stop string ended it.
    fn stream(stops: &[String], pieces: &[String]) -> (String, bool) {
        let mut matcher = StopMatcher::new(stops);
        let mut shown = String::new();
        for piece in pieces {
            match matcher.push(piece) {
                Matched::Text(text) => shown.push_str(&text),
                Matched::Stop(text) => return (shown + &text, true),
            }
        }
        (shown + &matcher.finish(), false)
    }

    #[test]
    fn finds_a_stop_string_across_pieces() {
        let mut matcher = StopMatcher::new(&strings(&["\n\nQ:"]));
        assert_eq!(matcher.push("42\n"), Matched::Text("42".into()));
        assert_eq!(matcher.push("\n"), Matched::Text(String::new()));
        assert_eq!(matcher.push("Q"), Matched::Text(String::new()));
        assert_eq!(matcher.push(": next"), Matched::Stop(String::new()));
    }

    #[test]
    fn gives_back_what_was_no_stop_string() {
        let mut matcher = StopMatcher::new(&strings(&["END"]));
        assert_eq!(matcher.push("the EN"), Matched::Text("the ".into()));
        assert_eq!(matcher.push("TRY"), Matched::Text("ENTRY".into()));
        assert_eq!(matcher.push("E"), Matched::Text(String::new()));
        assert_eq!(matcher.finish(), "E");
    }

    #[test]
    fn an_overlapping_start_is_not_lost() {
        let stops = strings(&["aab"]);
        assert_eq!(
            stream(&stops, &strings(&["a", "a", "a", "b", "x"])),
            ("a".into(), true)
        );
    }

    #[test]
    fn the_earliest_of_several_wins() {
        assert_eq!(
            stream(&strings(&["dog", "cat"]), &strings(&["a cat, a dog"])),
            ("a ".into(), true)
        );
    }

    #[test]
    fn multibyte_text_splits_at_characters() {
        let stops = strings(&["é!"]);
        assert_eq!(
            stream(&stops, &strings(&["caf", "é", "è", "é", "!"])),
            ("caféè".into(), true)
        );
        // The first byte of a character alone is no overlap: 'è' and 'é' share it.
        assert_eq!(
            stream(&strings(&["éa"]), &strings(&["xè"])),
            ("xè".into(), false)
        );
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in "[abé]{0,24}", stop in "[abé]{1,4}", other in "[abé]{1,3}",
                                cuts in prop::collection::vec(0usize..24, 0..8)) {
            let stops = [stop, other];
            let characters: Vec<char> = text.chars().collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(characters.len())).collect();
            cuts.extend([0, characters.len()]);
            cuts.sort_unstable();
            let pieces: Vec<String> = cuts.windows(2).map(|w| characters[w[0]..w[1]].iter().collect()).collect();

            let (shown, stopped) = stream(&stops, &pieces);
            prop_assert!(text.starts_with(&shown));
            prop_assert!(stops.iter().all(|s| !shown.contains(s.as_str())));
            if stopped {
                prop_assert!(stops.iter().any(|s| text[shown.len()..].starts_with(s.as_str())));
            } else {
                prop_assert_eq!(shown, text);
            }
        }
    }
}
