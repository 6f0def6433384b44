//! Words from numbers and from errors, words like another, and what has to be done to text from elsewhere before people
//! see it.
//!
//! [`harmless`] is called where lines, rows and messages are made (`output`, and a refusal in `main`), and nowhere
//! else: no other part has to think of it.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::time::Duration;

/// `1 pod`, `2 pods`, `2 ingresses`, `2 policies`
pub fn count(number: usize, noun: &str) -> String {
    let before_y = noun.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u']));
    match before_y {
        _ if number == 1 => format!("1 {noun}"),
        Some(stem) => format!("{number} {stem}ies"),
        None if noun.ends_with(['s', 'x']) || noun.ends_with("ch") => format!("{number} {noun}es"),
        None => format!("{number} {noun}s"),
    }
}

/// `8s`, `2m 5s`: whole seconds, at least one.
pub fn seconds(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs().max(1))).to_string()
}

/// `12ms`, `5s`, `1m 30s`: milliseconds are of interest in the first second only.
pub fn brief(duration: Duration) -> String {
    let seconds = Duration::from_secs_f64(duration.as_secs_f64().round());
    let milliseconds = Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    let shown = if duration < Duration::from_secs(1) { milliseconds } else { seconds };
    humantime::format_duration(shown).to_string()
}

/// Milliseconds are of interest in the first seconds only.
pub fn rounded(duration: Duration) -> Duration {
    let unit = if duration < Duration::from_secs(10) { 1 } else { 1000 };
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(milliseconds / unit * unit)
}

/// Text that neither drives a terminal nor shows other letters than it has, on one line.
///
/// Statuses, logs and events are written by whoever may. Control characters end lines and move cursors; those that
/// turn the direction of writing or have no width make a name look like another one
/// (<https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing>).
pub fn harmless(text: &str) -> String {
    let shown = |char: char| match char {
        _ if char.is_control() => ' ',
        '\u{2028}' | '\u{2029}' => ' ',
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{3164}'
        | '\u{ffa0}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => '\u{fffd}',
        _ => char,
    };
    text.chars().map(shown).collect()
}

/// Without the escape sequences of ECMA-48: CSI up to its final byte, OSC up to BEL or ST, others of two characters.
/// Colours would otherwise leave `[31m` behind.
pub fn without_escapes(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        if char != '\u{1b}' {
            plain.push(char);
            continue;
        }
        match rest.next() {
            Some('[') => while rest.next().is_some_and(|char| !('@'..='~').contains(&char)) {},
            Some(']' | 'P' | 'X' | '^' | '_') => {
                while rest.next().is_some_and(|char| char != '\u{7}' && char != '\u{1b}') {}
                rest.next_if_eq(&'\\');
            }
            Some('(' | ')' | '*' | '+' | '#' | '%' | ' ') => drop(rest.next()),
            _ => {}
        }
    }
    plain
}

/// An error and what is behind it, down to the first cause.
pub fn links<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    // An `io::Error` gives the source of what it wraps, and never that itself.
    successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    })
}

/// An error and its causes in one line, each said once; the hints among them on lines of their own, at the end.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let (mut said, mut hints) = (Vec::<String>::new(), String::new());
    for link in links(error) {
        let text = link.to_string();
        let (text, hint) = text.split_once("\nhint: ").map_or((&*text, None), |(text, hint)| (text, Some(hint)));
        // Many links repeat their source in their own text.
        if !said.iter().any(|said| said.contains(text)) {
            said.push(text.to_owned());
        }
        hints.extend(hint.map(|hint| format!("\nhint: {hint}")));
    }
    let mut line = said.join(": ");
    for error in links(error).filter_map(|link| link.downcast_ref::<io::Error>()) {
        line = line.replace(&error.to_string(), &of_system(error));
    }
    line + &hints
}

/// `connection refused`, where the system says `Connection refused (os error 111)`.
pub fn of_system(error: &io::Error) -> String {
    let text = error.to_string();
    let Some((text, _)) = text.split_once(" (os error ") else { return text };
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

/// `a, b, c and 2 more`
pub fn few(names: &[impl AsRef<str>], most: usize) -> String {
    let shown: Vec<&str> = names.iter().take(most).map(AsRef::as_ref).collect();
    let more = names.len().saturating_sub(most);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &more
}

/// Not more than so many characters, and a sign where something is missing.
pub fn cut(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{} […]", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// Those that may have been meant by a word, the most alike first.
pub fn near(word: &str, words: Vec<String>) -> Vec<String> {
    let mut rated: Vec<(f64, String)> = words.into_iter().map(|it| (strsim::jaro(word, &it), it)).collect();
    rated.retain(|(likeness, _)| *likeness > 0.8);
    rated.sort_by(|a, b| b.0.total_cmp(&a.0));
    rated.dedup_by(|a, b| a.1 == b.1);
    rated.into_iter().take(3).map(|(_, word)| word).collect()
}

/// As much of the text as fits into so many bytes.
pub fn within(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_drives_a_terminal_or_looks_like_something_else() {
        let table = [
            ("gone:\n\u{1b}[2Jlow on memory", "gone:  [2Jlow on memory"),
            ("C1 \u{9b}31m", "C1  31m"),
            ("job/\u{202e}etargim\u{202c}", "job/\u{fffd}etargim\u{fffd}"),
            ("mi\u{200b}gra\u{2060}te\u{feff}", "mi\u{fffd}gra\u{fffd}te\u{fffd}"),
            ("one\u{2028}two", "one two"),
            ("Übergrößenträger – 移行 ✓", "Übergrößenträger – 移行 ✓"),
        ];
        for (text, shown) in table {
            assert_eq!(harmless(text), shown);
        }
    }

    #[test]
    fn chain_says_each_cause_once_and_hints_at_its_end() {
        let missing = || io::Error::from_raw_os_error(2);
        let wrapped = io::Error::other(io::Error::other("torn"));
        let table = [
            (
                anyhow::Error::new(missing()).context("cannot read a\nhint: b"),
                "cannot read a: no such file or directory\nhint: b",
            ),
            (anyhow::anyhow!(missing()).context(format!("a: {}", missing())), "a: no such file or directory"),
            (anyhow::Error::new(wrapped).context("a"), "a: torn"),
        ];
        for (error, expected) in table {
            assert_eq!(chain(error.as_ref()), expected);
        }
        assert_eq!((few(&["a", "b"], 2), few(&["a", "b", "c"], 1)), ("a, b".to_owned(), "a and 2 more".to_owned()));
    }

    #[test]
    fn text_is_cut_between_characters() {
        let text = "ä".repeat(100);
        assert_eq!(within(&text, 100).len(), 100);
        assert_eq!(within(&format!("a{text}"), 100).len(), 99);
        assert_eq!(within("short", 100), "short");
        assert_eq!(cut(&text, 3), "äää […]");
    }
}
