//! Reads Rust text as far as the rules need it: what is code, what is comment or string, where a
//! function begins and ends, and where the tests begin.
//!
//! It is a lexer of a page, not a parser: rustc and rustfmt have accepted the text before.

/// A file's text, and the same text with every comment and literal blanked out, so that a word in
/// the second is a word of the program. Both have the same lines.
pub(super) struct Source {
    pub(super) lines: Vec<String>,
    pub(super) code: Vec<String>,
}

/// A function and its length.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// Its first line, from 0.
    pub(super) line: usize,
    /// Lines from `fn` to the closing brace, both counted.
    pub(super) lines: usize,
}

impl Source {
    pub(super) fn new(text: &str) -> Self {
        let code = blank(text);
        let lines = |text: &str| text.lines().map(str::to_owned).collect();
        Self { lines: lines(text), code: lines(&code) }
    }

    /// The line at which the tests begin: everything below is theirs (style: tests come last).
    pub(super) fn tests_from(&self) -> usize {
        let is_test = |line: &str| {
            let line = line.trim();
            line.starts_with("#[cfg(test)]")
                || (line.starts_with("#[cfg(all(") && line.contains("test"))
        };
        for (at, line) in self.code.iter().enumerate().filter(|(_, line)| is_test(line)) {
            let mut rest = line.split_once(']').map_or("", |(_, rest)| rest).trim();
            for next in &self.code[at + 1..] {
                if !rest.is_empty() && !rest.starts_with("#[") {
                    break;
                }
                rest = next.trim();
            }
            if words(rest).any(|(_, word)| word == "mod") && rest.ends_with('{') {
                return at;
            }
        }
        self.lines.len()
    }

    /// Every function with a body.
    pub(super) fn functions(&self) -> Vec<Function> {
        let text = self.code.join("\n");
        let mut functions = Vec::new();
        for (at, _) in words(&text).filter(|(_, word)| *word == "fn") {
            let after = &text[at + 2..];
            // `fn(u8)` is a type and has no name.
            let Some((_, name)) =
                words(after).next().filter(|(at, _)| after[..*at].trim().is_empty())
            else {
                continue;
            };
            if let Some(length) = body_end(after) {
                functions.push(Function {
                    name: name.to_owned(),
                    line: text[..at].matches('\n').count(),
                    lines: after[..length].matches('\n').count() + 1,
                });
            }
        }
        functions
    }
}

/// Where the body of the function that begins here ends; None without a body.
fn body_end(text: &str) -> Option<usize> {
    let mut nesting = 0_i32;
    let mut braces = 0_i32;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'[' => nesting += 1,
            b')' | b']' => nesting -= 1,
            b'{' => braces += 1,
            b'}' => {
                braces -= 1;
                if braces == 0 && nesting == 0 {
                    return Some(at);
                }
            }
            b';' if braces == 0 && nesting == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The words of a text (identifiers and keywords), each with its place.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text.as_bytes()[at..].iter().position(|byte| is_word(*byte))?;
        let length = text.as_bytes()[start..].iter().position(|byte| !is_word(*byte));
        at = length.map_or(text.len(), |length| start + length);
        Some((start, &text[start..at]))
    })
}

/// The text with comments and the insides of literals turned into spaces.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut previous = ' ';
    while let Some(first) = rest.chars().next() {
        let (length, keep) = token(rest, previous);
        let (token, after) = rest.split_at(length);
        if keep {
            out.push_str(token);
        } else {
            out.extend(token.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        previous = token.chars().next_back().unwrap_or(first);
        rest = after;
    }
    out
}

/// How long the next comment, literal or character is, and whether it is code.
fn token(rest: &str, previous: char) -> (usize, bool) {
    let first = rest.chars().next().map_or(1, char::len_utf8);
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), false);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), false);
    }
    if let Some(inside) = rest.strip_prefix('"') {
        return (1 + closing_quote(inside, '"'), false);
    }
    let starts_word = !(previous.is_alphanumeric() || previous == '_');
    if starts_word && let Some(length) = raw_string(rest) {
        return (length, false);
    }
    if let Some(inner) = rest.strip_prefix('\'') {
        // `'a'` and `'\n'` are characters, `'a` is a lifetime.
        let mut inside = inner.chars();
        let is_char = inside.next() == Some('\\') || inside.next() == Some('\'');
        if is_char {
            return (1 + closing_quote(inner, '\''), false);
        }
    }
    (first, true)
}

/// The length up to and with the closing quote, stepping over escapes.
fn closing_quote(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of `r"..."`, `br#"..."#` and the like.
fn raw_string(text: &str) -> Option<usize> {
    let prefix = text.find('r').filter(|at| *at <= 1)?;
    let hashes = text[prefix + 1..].bytes().take_while(|byte| *byte == b'#').count();
    let open = prefix + 1 + hashes;
    text[open..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let inside = &text[open + 1..];
    Some(inside.find(&close).map_or(text.len(), |at| open + 1 + at + close.len()))
}

/// The length of a block comment with the comments nested in it.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_u32;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_kept() {
        let table = [
            ("a // unsafe\nb", "a          \nb"),
            ("a /* x /* y */ z */ b", "a                   b"),
            ("f(\"un\\\"safe\", c)", "f(          , c)"),
            ("f(r#\"a \" b\"#, c)", "f(          , c)"),
            ("f(b\"x\", br\"y\")", "f(b   ,      )"),
            ("let c = '\"'; x", "let c =    ; x"),
            ("let c = '\\''; x", "let c =     ; x"),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
            ("\"a\nb\" c", "  \n   c"),
        ];
        for (text, code) in table {
            assert_eq!(blank(text), code, "{text}");
        }
    }

    #[test]
    fn functions_are_measured_from_fn_to_brace() {
        let text = "fn a() {\n    let x = [0; 3];\n}\ntrait T {\n    fn b(&self);\n}\n\
                    type F = fn(u8) -> u8;\nfn c(\n    f: fn(u8),\n) -> [u8; 2] { [1, 2] }\n";
        let found = Source::new(text).functions();
        let function = |name: &str, line, lines| Function { name: name.to_owned(), line, lines };
        assert_eq!(found, [function("a", 0, 3), function("c", 7, 3)]);
    }

    #[test]
    fn tests_begin_at_their_module() {
        let table = [
            ("fn a() {}\n#[cfg(test)]\nmod tests {\n}\n", 1),
            ("#[cfg(test)]\nuse a;\nfn a() {}\n#[cfg(all(test, not(loom)))]\nmod tests {\n}\n", 3),
            ("#[cfg(test)]\nmod tests;\nfn a() {}\n", 3),
            ("fn a() {}\n", 1),
        ];
        for (text, line) in table {
            assert_eq!(Source::new(text).tests_from(), line, "{text}");
        }
    }
}
