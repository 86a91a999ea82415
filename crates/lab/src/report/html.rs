//! Pieces of HTML every section is made of.

/// Text made safe for element content and for attribute values in either kind of quotes. Control characters that HTML
/// does not allow become the replacement character, so that no name can end a tag or upset a parser.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(c),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// A card: a heading, a sentence under it (none when empty), and a body that is HTML already. `class` chooses its place
/// in the grid.
pub(super) fn card(class: &str, heading: &str, sentence: &str, body: &str) -> String {
    let lead = if sentence.is_empty() {
        String::new()
    } else {
        format!("<p class=\"lead\">{}</p>\n", escape(sentence))
    };
    format!(
        "<section class=\"card {class}\">\n<h2>{}</h2>\n{lead}{body}</section>\n",
        escape(heading)
    )
}

/// A table of names and values, two columns of plain text; nothing when there are no rows.
pub(super) fn facts(rows: &[(String, String)]) -> String {
    let rows: String = rows
        .iter()
        .map(|(name, value)| {
            format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape(name), escape(value))
        })
        .collect();
    format!("<table class=\"facts\"><tbody>\n{rows}</tbody></table>\n")
}
