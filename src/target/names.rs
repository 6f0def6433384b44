//! What the API server accepts as a name, by the rules of `k8s.io/apimachinery` 0.36 (`pkg/api/validate/content`).

/// A qualified name: a name, or a DNS subdomain and a name with `/` between.
///
/// # Errors
/// The reason, as a clause that can follow the key.
pub fn label_key(key: &str) -> Result<(), String> {
    match key.split_once('/') {
        None => label_name(key),
        Some((prefix, name)) => {
            dns_subdomain(prefix).map_err(|reason| format!("has a prefix that {reason}"))?;
            label_name(name).map_err(|reason| format!("has a name that {reason}"))
        }
    }
}

/// Part of a key, or a value that is not empty.
///
/// # Errors
/// The reason, as a clause that can follow it.
pub fn label_name(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    within(text, 63, allowed, "letters, digits, `-`, `_` and `.`")
}

/// Whether the API takes it as the name of a namespace or a Service.
///
/// Since Kubernetes 1.36 (`RelaxedServiceNameValidation`) a Service may begin with a digit, as a namespace always
/// could; an older server answers such a name with "not found", which is true.
///
/// # Errors
/// The reason, as a clause that can follow the name.
pub fn dns_label(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    within(text, 63, allowed, "lower case letters, digits and `-`")
}

/// Whether the API takes it as the name of a Job or a pod. Only the whole has a limit here, not the parts.
///
/// # Errors
/// The reason, as a clause that can follow the name.
pub fn dns_subdomain(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    within(text, 253, allowed, "lower case letters, digits, `-` and `.`")?;
    text.split('.').try_for_each(|part| ends_well(part, "must begin and end with a letter or digit around each dot"))
}

/// Whether a ConfigMap or a Secret can have it as a key (`IsConfigMapKey` in k8s.io/apimachinery).
///
/// # Errors
/// The reason, as a clause that can follow the key.
pub fn data_key(text: &str) -> Result<(), String> {
    let stranger = text.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_.".contains(*c));
    match stranger {
        Some(stranger) => Err(format!("may contain only letters, digits, `-`, `_` and `.`, not `{stranger}`")),
        None if text.is_empty() || text.len() > 253 => Err("must have 1 to 253 characters".to_owned()),
        None if text == "." || text == ".." => Err("is a path, not a name".to_owned()),
        None => Ok(()),
    }
}

/// `v1`, `v2beta1`, by the API machinery's `pkg/version` (kube-aware versions).
pub fn is_version(text: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(rest) = text.strip_prefix('v') else { return false };
    let parts = rest.split_once("alpha").or_else(|| rest.split_once("beta"));
    parts.map_or_else(|| number(rest), |(major, minor)| number(major) && number(minor))
}

/// What the API most likely calls several of this kind, by the rule of `meta.UnsafeGuessKindToResource`; a word that
/// is a plural already stays.
pub fn plural(word: &str) -> String {
    if let Some(stem) = word.strip_suffix('y') {
        return format!("{stem}ies");
    }
    match word {
        _ if word.ends_with("ss") => format!("{word}es"),
        _ if word.ends_with('s') => word.to_owned(),
        _ => format!("{word}s"),
    }
}

/// Whether any object can have it: it stands as one part in a path (`pkg/api/validation/path` in k8s.io/apimachinery).
///
/// # Errors
/// The reason, as a clause that can follow the name.
pub fn any_name(text: &str) -> Result<(), String> {
    match text.chars().find(|c| "/%".contains(*c) || c.is_whitespace() || c.is_control()) {
        Some(stranger) => Err(format!("may not hold `{stranger}`")),
        None if text.is_empty() => Err("is empty".to_owned()),
        None if text == "." || text == ".." => Err("is a path, not a name".to_owned()),
        None => Ok(()),
    }
}

fn within(text: &str, limit: usize, allowed: impl Fn(char) -> bool, alphabet: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if let Some(stranger) = text.chars().find(|c| !allowed(*c)) {
        return Err(format!("may contain only {alphabet}, not `{stranger}`"));
    }
    if text.len() > limit {
        return Err(format!("has {} characters; at most {limit} are allowed", text.len()));
    }
    ends_well(text, "must begin and end with a letter or digit")
}

fn ends_well(text: &str, otherwise: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_alphanumeric();
    if text.starts_with(good) && text.ends_with(good) { Ok(()) } else { Err(otherwise.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_api() {
        for good in ["a", "0", "db-0", "x-migration-3.9.1", "a.b"] {
            assert_eq!(dns_subdomain(good), Ok(()), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a..b", "a.-b", ".a", "a.", "ä"] {
            assert!(dns_subdomain(bad).is_err(), "{bad}");
        }
        for good in ["a", "0", "2048", "db-0"] {
            assert_eq!(dns_label(good), Ok(()), "{good}");
        }
        for bad in ["", "a.b", "a-", "-a", "A"] {
            assert!(dns_label(bad).is_err(), "{bad}");
        }
        assert!(dns_label(&"a".repeat(63)).is_ok() && dns_label(&"a".repeat(64)).is_err());
        assert!(dns_subdomain(&"a".repeat(253)).is_ok() && dns_subdomain(&"a".repeat(254)).is_err());
    }
}
