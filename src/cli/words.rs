//! Arguments → words that clap understands, as the shell in groundnuty's script would have split them.
//!
//! It passed its arguments on without quotes, so charts hand over `-l app=x` or `-n foo` as one argument, and a YAML
//! block scalar may hold a whole command line. What has to stay together is a selector: `app in (a, b)`. Nothing here
//! knows modes, names or the value of an option.

use std::ffi::OsString;
use std::path::Path;

use super::options::Usage;

/// The name it was called by: `wait_for.sh` in groundnuty's image, or a plugin that is typed as `kubectl wait-for`.
pub fn program(path: Option<&OsString>) -> &'static str {
    match path.and_then(|path| Path::new(path).file_name()?.to_str()) {
        Some("kubectl-wait_for") => "kubectl wait-for",
        Some("wait_for.sh") => "wait_for.sh",
        _ => "k8s-wait-for",
    }
}

/// Trimmed, split at options, and selectors put together again.
///
/// # Errors
/// An argument that is empty, not UTF-8, or was not expanded.
pub fn from_arguments(argv: impl Iterator<Item = OsString>) -> Result<Vec<String>, Usage> {
    let mut words = Vec::new();
    for (index, argument) in argv.enumerate() {
        let argument = argument.into_string().map_err(|raw| {
            let shown = raw.to_string_lossy().into_owned();
            Usage::new(format!("argument {} is not UTF-8: `{shown}`", index + 1), "names and labels are plain ASCII")
        })?;
        check_expanded(&argument)?;
        if argument.trim().is_empty() {
            let problem = format!("argument {} is empty", index + 1);
            return Err(Usage::new(problem, "is a variable unset? set it, or leave out the argument"));
        }
        split(argument.trim(), &mut words);
    }
    Ok(join(words))
}

/// Kubernetes leaves `$(NAME)` as it is when it knows no such variable, and no shell runs in `args:`.
fn check_expanded(argument: &str) -> Result<(), Usage> {
    if ["$(", "${", "{{"].iter().any(|opening| argument.contains(opening)) {
        let hint = "only $(NAME) is expanded in `args:`, and only for a variable under `env:` of the same container";
        return Err(Usage::new(format!("`{argument}` was not expanded"), hint));
    }
    Ok(())
}

/// Neither a name nor a selector holds a space with `-` after it: there an option begins.
fn split(argument: &str, words: &mut Vec<String>) {
    let mut start = 0;
    for (index, space) in argument.match_indices(char::is_whitespace) {
        let next = index + space.len();
        if argument[next..].starts_with('-') {
            split_option(argument[start..index].trim(), words);
            start = next;
        }
    }
    split_option(argument[start..].trim(), words);
}

fn split_option(piece: &str, words: &mut Vec<String>) {
    match piece.split_once(char::is_whitespace) {
        Some((option, value)) if takes_next(option) => words.extend([option, value.trim()].map(str::to_owned)),
        _ if piece.is_empty() => {}
        _ => words.push(piece.to_owned()),
    }
}

/// `-l` and `--selector` do, `-lapp in (a)` and `--selector=app in (a)` hold their value already.
fn takes_next(option: &str) -> bool {
    option.starts_with('-') && (option.len() == 2 || option.starts_with("--") && !option.contains('='))
}

/// Puts a selector together that was split at its spaces: `app in (a,` `b)`, `app=x,` `tier=db`.
fn join(pieces: Vec<String>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    // Whether a parenthesis of the last word is still open: then everything but an option belongs to it.
    let mut open = false;
    let mut pieces = pieces.into_iter().peekable();
    while let Some(piece) = pieces.next() {
        // `in` and `notin` are names, too: they are operators only before a parenthesis.
        let operator = match piece.strip_prefix("not").unwrap_or(&piece).strip_prefix("in") {
            Some("") => pieces.peek().is_some_and(|next| next.starts_with('(')),
            Some(rest) => rest.trim_start().starts_with('('),
            None => piece.starts_with(['(', ',']),
        };
        let joins = |last: &str| !piece.starts_with('-') && (open || operator || last.ends_with(','));
        let last = words.last_mut().filter(|last| joins(last));
        open = match piece.rfind(['(', ')']) {
            Some(index) => piece[index..].starts_with('('),
            None => open && last.is_some(),
        };
        match last {
            Some(last) => last.extend([" ", &piece]),
            None => words.push(piece),
        }
    }
    words
}
