//! Pieces of HTML that every page and section is made of.

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// A whole page that refers to no other file and no address. `header` and `sections` are HTML already.
pub fn page(title: &str, header: &str, sections: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         {header}<main>\n{sections}</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        escape(title),
    )
}

/// The top of a page: a small line `over` the heading, which is HTML already, and the switch between light and dark.
pub fn masthead(over: &str, heading: &str) -> String {
    format!(
        "<header>\n<div class=\"name\">\n<p class=\"over\">{over}</p>\n<h1>{}</h1>\n</div>\n\
         <button type=\"button\" class=\"theme\" hidden aria-label=\"Switch between light and dark\">\
         <svg viewBox=\"0 0 20 20\" width=\"20\" height=\"20\" aria-hidden=\"true\"><circle cx=\"10\" cy=\"10\" r=\"7.5\"/>\
         <path d=\"M10 2.5a7.5 7.5 0 0 1 0 15z\"/></svg></button>\n</header>\n",
        escape(heading)
    )
}

/// The headline figures as (label, value); nothing when there are none.
pub fn headline(figures: &[(String, String)]) -> String {
    if figures.is_empty() {
        return String::new();
    }
    let figures: String = figures
        .iter()
        .map(|(label, value)| {
            format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(label), escape(value))
        })
        .collect();
    format!("<dl class=\"headline\">\n{figures}</dl>\n")
}

/// A command line to be copied; it breaks before its flags rather than inside of them. Nothing when there is none.
pub fn command(line: &str) -> String {
    if line.is_empty() {
        return String::new();
    }
    let parts: Vec<String> =
        escape(line).split(" --").map(|part| format!("<span>{part}</span>")).collect();
    let code = parts.join(" ").replace("<span>", "<span>--").replacen("<span>--", "<span>", 1);
    format!(
        "<div class=\"command\"><pre><code>{code}</code></pre>\
         <button type=\"button\" class=\"copy\" hidden>Copy</button></div>\n"
    )
}

/// Text made safe for element content and for attribute values in either kind of quotes. Control characters that HTML
/// does not allow become the replacement character, so that no name can end a tag or upset a parser.
pub fn escape(text: &str) -> String {
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
pub fn card(class: &str, heading: &str, sentence: &str, body: &str) -> String {
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
pub fn facts(rows: &[(String, String)]) -> String {
    let rows: String = rows
        .iter()
        .map(|(name, value)| {
            format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape(name), escape(value))
        })
        .collect();
    format!("<table class=\"facts\"><tbody>\n{rows}</tbody></table>\n")
}
