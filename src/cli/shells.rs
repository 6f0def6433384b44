//! How shells ask: the script that each of them loads, and what it makes of the answer.
//!
//! All but one are the library's. What is asked and offered is the same for all of them, and not decided here.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use clap::Command;
use clap_complete::Shell;
use clap_complete::engine::complete;
use clap_complete::env::{Elvish, EnvCompleter, Fish, Powershell, Zsh};

use super::completions::{Ask, NAME, command, is_harmless};

/// By this variable a script says which shell asks. Not one of our own prefix: no option is called so.
const VARIABLE: &str = "_K8S_WAIT_FOR_COMPLETE";
/// By this one the scripts of the library say which word it is; by the others it is the last one.
const INDEX: &str = "_CLAP_COMPLETE_INDEX";

/// A line that is being typed.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    shell: Shell,
    /// from the program's name to the word in question, which may be empty
    words: Vec<String>,
}

impl Line {
    /// From the arguments after the program's own name, if a script has set them.
    pub fn read(arguments: &[OsString], env: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let (_, words) = arguments.split_first().filter(|(dashes, _)| *dashes == "--")?;
        let shell = env(VARIABLE)?.parse().ok()?;
        let mut words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        if let Some(index) = env(INDEX).and_then(|index| index.parse::<usize>().ok()) {
            words.resize(index.min(words.len()) + 1, String::new());
        }
        Some(Self { shell, words })
    }

    /// What can stand there, in the form that the shell's script takes; `folder` is where files are looked for.
    pub fn candidates(self, ask: Ask, folder: Option<&Path>) -> String {
        let mut command = command(&self.words, ask);
        let words = self.words.into_iter().map(Into::into).collect();
        let mut text = Vec::new();
        // A line that the engine makes nothing of has no candidates.
        let _ = adapter(self.shell).write_complete(&mut command, words, folder, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// The script that has `program`, a name or an absolute path, asked.
pub fn script(shell: Shell, program: &str) -> String {
    let mut script = Vec::new();
    let written = adapter(shell).write_registration(VARIABLE, NAME, NAME, program, &mut script);
    written.expect("memory takes all that is written");
    String::from_utf8_lossy(&script).into_owned()
}

fn adapter(shell: Shell) -> &'static dyn EnvCompleter {
    match shell {
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::PowerShell => &Powershell,
        Shell::Zsh => &Zsh,
        _ => &Bash,
    }
}

/// Bash breaks words at `:` and `=`, too, of which the library's script takes no notice: here they are whole, and of a
/// candidate bash gets what stands behind the break.
struct Bash;

const BASH: &str = r#"_k8s_wait_for() {
    local line=${COMP_LINE:0:COMP_POINT} words candidate
    local current=${line##*[[:space:]]}
    read -ra words <<<"${line%"$current"}"
    COMPREPLY=()
    while IFS= read -r candidate; do
        COMPREPLY+=("${candidate#"${current%"$2"}"}")
    done < <(VARIABLE=bash PROGRAM -- "${words[@]}" "$current" 2>/dev/null)
    [[ ${COMPREPLY-} != *[/:=] ]] || compopt -o nospace 2>/dev/null
}
complete -F _k8s_wait_for NAME
"#;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == self.name()
    }

    fn write_registration(
        &self,
        variable: &str,
        _: &str,
        name: &str,
        program: &str,
        script: &mut dyn io::Write,
    ) -> io::Result<()> {
        let program = format!("'{}'", program.replace('\'', r"'\''"));
        let text = BASH.replace("VARIABLE", variable).replace("NAME", name).replace("PROGRAM", &program);
        script.write_all(text.as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        text: &mut dyn io::Write,
    ) -> io::Result<()> {
        let last = words.len().saturating_sub(1);
        let candidates = complete(command, words, last, folder)?;
        let values = candidates.iter().map(|candidate| candidate.get_value().to_string_lossy());
        // It puts them into the line as they are. Options begin with dashes by right.
        for value in values.filter(|value| is_harmless(value.trim_start_matches('-'))) {
            writeln!(text, "{value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &str, index: &str) -> Option<Vec<String>> {
        let arguments: Vec<OsString> = arguments.split(' ').map(Into::into).collect();
        let env = |name: &str| match name {
            VARIABLE => Some("zsh".to_owned()),
            INDEX => Some(index.to_owned()),
            _ => None,
        };
        Line::read(&arguments, env).map(|line| line.words)
    }

    #[test]
    fn word_in_question_is_the_last_of_a_line() {
        assert_eq!(read("-- k8s-wait-for job a", "1").unwrap(), [NAME, "job"]);
        assert_eq!(read("-- k8s-wait-for job", "2").unwrap(), [NAME, "job", ""]);
        assert_eq!(read("-- k8s-wait-for job a", "").unwrap(), [NAME, "job", "a"]);
        assert_eq!(read("-- k8s-wait-for", "18446744073709551615").unwrap(), [NAME, ""]);
        assert_eq!(read("job a", "1"), None, "no script of ours");
    }
}
