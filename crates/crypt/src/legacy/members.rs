use model::FormatError;

/// The members `names` of a JSON object whose members are all strings without escapes: what Go
/// writes for Base64. Each of them once, in any order, and no other.
pub(super) fn members<'a, const N: usize>(
    noun: &'static str,
    text: &'a str,
    names: [&str; N],
) -> Result<[&'a str; N], FormatError> {
    let invalid = FormatError::Invalid { noun };
    let mut found: [Option<&str>; N] = [None; N];
    let mut rest = token(text, '{').ok_or(invalid)?;
    loop {
        let (name, after_name) = string(rest).ok_or(invalid)?;
        let (value, after_value) = token(after_name, ':').and_then(string).ok_or(invalid)?;
        let at = names.iter().position(|wanted| *wanted == name).ok_or(invalid)?;
        match found.get_mut(at) {
            Some(empty @ None) => *empty = Some(value),
            _ => return Err(FormatError::NotCanonical { noun }),
        }
        if let Some(next) = token(after_value, ',') {
            rest = next;
            continue;
        }
        rest = token(after_value, '}').ok_or(invalid)?;
        break;
    }
    if !rest.trim_ascii().is_empty() {
        return Err(FormatError::Trailing { noun });
    }
    if found.iter().any(Option::is_none) {
        return Err(FormatError::Truncated { noun });
    }
    Ok(found.map(Option::unwrap_or_default))
}

/// What follows `wanted`, white space before it.
fn token(text: &str, wanted: char) -> Option<&str> {
    text.trim_ascii_start().strip_prefix(wanted)
}

/// A string, and what follows it.
fn string(text: &str) -> Option<(&str, &str)> {
    let (inside, rest) = token(text, '"')?.split_once('"')?;
    let is_plain = inside.bytes().all(|byte| byte >= b' ' && byte != b'\\');
    is_plain.then_some((inside, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<[&str; 2], FormatError> {
        members("test", text, ["a", "b"])
    }

    #[test]
    fn members_come_in_any_order_with_any_white_space() {
        assert_eq!(read(r#"{"a":"1","b":"2"}"#), Ok(["1", "2"]));
        assert_eq!(read(" {\n\t\"b\" : \"2\" ,\r\n \"a\" : \"\" } \n"), Ok(["", "2"]));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "{",
            "{}",
            r#"{"a":"1"}"#,
            r#"{"a":"1","b":"2""#,
            r#"{"a":"1","b":"2",}"#,
            r#"{"a":"1","b":"2"} x"#,
            r#"{"a":"1","b":"2"}{}"#,
            r#"{"a":"1","b":"2","c":"3"}"#,
            r#"{"a":"1","b":"2","a":"1"}"#,
            r#"{"a":"1","b":2}"#,
            r#"{"a":"1","b":null}"#,
            r#"{"a":"1","b":"\u0031"}"#,
            r#"{"a":"1","b":"2\"}"#,
            r#"{"A":"1","b":"2"}"#,
            r#"[{"a":"1","b":"2"}]"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("{\"a\":\"1\",\"b\":\"2\u{1}\"}").is_err());
    }
}
