//! The code that a page shows, cut out of the very source that ran.
//!
//! A part of a file between a line `// show: NAME` and the next line `// end` is called NAME. It may be a function, or lines
//! within one. A name of several words, such as `impl Module for Net`, is how a whole item begins: so a page can show the
//! library's own code.

/// The part called `name` in these sources, or the item that begins so, without the indentation that its lines share.
pub fn part(sources: &[&str], name: &str) -> Option<String> {
    if name.contains(' ') { item(sources, name) } else { marked(sources, name) }
}

/// The item that begins with `name`, and perhaps `pub` before it, with its attributes and without its documentation.
fn item(sources: &[&str], name: &str) -> Option<String> {
    let begins = |line: &&str| {
        let rest = line.strip_prefix("pub ").unwrap_or(line).strip_prefix(name);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    sources.iter().find_map(|source| {
        let lines: Vec<&str> = source.lines().collect();
        let first = lines.iter().position(begins)?;
        let attributes =
            lines[..first].iter().rev().take_while(|line| line.starts_with("#[")).count();
        let length = lines[first..].iter().position(|line| *line == "}" || line.ends_with("{}"))?;
        Some(lines[first - attributes..=first + length].join("\n"))
    })
}

/// The lines between `// show: NAME` and `// end`.
fn marked(sources: &[&str], name: &str) -> Option<String> {
    let begins = |line: &str| line.trim().strip_prefix("// show: ").is_some_and(|n| n == name);
    let mut lines = sources.iter().find_map(|source| {
        let mut lines = source.lines();
        lines.find(|line| begins(line)).map(|_| lines)
    })?;
    let mut kept = Vec::new();
    loop {
        let line = lines.next()?;
        if line.trim() == "// end" {
            break;
        }
        kept.push(line);
    }
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let shared = kept.iter().filter(|l| !l.trim().is_empty()).map(indent).min()?;
    let kept: Vec<&str> = kept.iter().map(|line| line.get(shared..).unwrap_or("")).collect();
    Some(kept.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::part;

    const SOURCE: &str = "fn a() {\n    // show: inner\n    let x = 1;\n\n    if x > 0 {\n        b();\n    }\n    \
                          // end\n}\n// show: whole\nfn b() {}\n// end\n// show: open\nfn c() {}\n";

    #[test]
    fn a_part_comes_without_its_indentation() {
        let inner = part(&["", SOURCE], "inner").expect("it is there");
        assert_eq!(inner, "let x = 1;\n\nif x > 0 {\n    b();\n}");
        assert_eq!(part(&[SOURCE], "whole").as_deref(), Some("fn b() {}"));
    }

    #[test]
    fn an_item_is_found_by_how_it_begins() {
        let source = "/// A net.\n#[derive(Params)]\npub struct Net {\n    fc: Linear,\n}\n\nstruct Nets {}\n";
        let net = part(&[SOURCE, source], "struct Net").expect("it is there");
        assert_eq!(net, "#[derive(Params)]\npub struct Net {\n    fc: Linear,\n}");
        assert_eq!(part(&[source], "struct Nets").as_deref(), Some("struct Nets {}"));
        assert_eq!(part(&[source], "struct Ne"), None);
    }

    #[test]
    fn a_part_without_an_end_or_of_another_name_is_none() {
        for name in ["open", "inn", ""] {
            assert_eq!(part(&[SOURCE], name), None, "{name:?}");
        }
    }
}
