//! Random changes of a text, for tests that a reader takes or refuses whatever it is given.

use chainrule::rng::KeyedRng;

/// `text` with one to three stretches of up to eleven characters replaced by some of `pieces`.
pub fn garbled(text: &str, pieces: &[&str], random: &mut KeyedRng) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for _ in 0..1 + random.below(3) {
        let at = random.below(text.len());
        let end = (at + random.below(12)).min(text.len());
        text.splice(at..end, pieces[random.below(pieces.len())].chars());
    }
    text.into_iter().collect()
}
