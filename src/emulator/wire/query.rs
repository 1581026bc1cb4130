//! Percent-encoded paths and queries. Decoding never fails: bytes that are not UTF-8 become
//! replacement characters.

/// Decodes `%XX`. Everything else stays as it is.
pub(in crate::emulator) fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        let escape = (first == b'%')
            .then(|| tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()))
            .flatten()
            .filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escape {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => bytes.push(first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the value of a query's key. An empty value counts as absent, as in V1's sample
/// `versions?pageToken=&maxPageSize=`.
pub(in crate::emulator) fn parameter(query: &str, key: &str) -> Option<String> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| percent_decode(name) == key)
        .map(|(_, value)| percent_decode(&value.replace('+', " ")))
        .filter(|value| !value.is_empty())
}

/// Splits a comma list, the form of `updateMask` and `readMask`.
pub(in crate::emulator) fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_empty_ones_absent() {
        #[track_caller]
        fn check(query: &str, key: &str, expected: Option<&str>) {
            assert_eq!(parameter(query, key).as_deref(), expected, "{query}");
        }
        check("updateMask=description%2CdisplayName", "updateMask", Some("description,displayName"));
        check("updateMask=description,displayName", "updateMask", Some("description,displayName"));
        check("pageToken=&maxPageSize=", "pageToken", None);
        check("a=1&b=2", "b", Some("2"));
        check("a=x+y", "a", Some("x y"));
        check("a=%zz%4", "a", Some("%zz%4"));
        check("a=%+5", "a", Some("% 5"));
        check("", "a", None);
    }

    #[test]
    fn lists_drop_spaces_and_empty_items() {
        assert_eq!(list(" a,,b "), ["a", "b"]);
    }
}
