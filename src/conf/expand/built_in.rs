//! Parameters that need no definition: `_PWD`, `_INSTANCE`, `_ENV`, `_RANDOM`, `_HASH`, `_BANG`.

use std::path::Path;

use rand::RngExt;
use rand::rngs::StdRng;

use super::substitute::Surroundings;

/// `${_RANDOM}` without bounds.
const RANDOM_MAX: u64 = 32_767;

/// A value, and what is odd about it.
pub(super) type BuiltIn = Option<(Vec<u8>, Option<String>)>;

/// The value of a built-in parameter; `None` where there is none of that name. The error is a sentence.
pub(super) fn built_in(
    name: &[u8],
    arguments: &[u8],
    around: Surroundings<'_>,
    random: &mut StdRng,
) -> Result<BuiltIn, String> {
    let words: Vec<&[u8]> =
        arguments.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
    let value = match (name, &words[..]) {
        (b"_PWD", []) => directory(around.directory),
        (b"_INSTANCE", []) => around.config_id.to_vec(),
        (b"_HASH", []) => b"#".to_vec(),
        (b"_BANG", []) => b"!".to_vec(),
        // A line break in a variable would make two lines of one.
        (b"_ENV", [name]) => around
            .environment
            .get(name)
            .unwrap_or_default()
            .into_iter()
            .filter(|byte| !matches!(byte, b'\n' | b'\r' | 0))
            .collect(),
        (b"_RANDOM", [] | [_] | [_, _]) => {
            let bound = |index: usize, default: u64| -> Result<u64, String> {
                let Some(word) = words.get(index) else { return Ok(default) };
                let text = std::str::from_utf8(word).unwrap_or_default();
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse()
                    .ok()
                    .filter(|bound| digits && *bound <= u64::from(u32::MAX))
                    .ok_or_else(|| {
                        let word = String::from_utf8_lossy(word);
                        format!("`{word}` is not a bound of a random number: 0 to {}", u32::MAX)
                    })
            };
            let (least, most) = (bound(0, 0)?, bound(1, RANDOM_MAX)?);
            if least > most {
                let odd = format!("random numbers from {least} to {most}: it is always {least}");
                return Ok(Some((least.to_string().into_bytes(), Some(odd))));
            }
            random.random_range(least..=most).to_string().into_bytes()
        }
        _ => return Ok(None),
    };
    Ok(Some((value, None)))
}

/// The absolute path of a directory.
fn directory(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let absolute = std::fs::canonicalize(path);
    let path = absolute.as_deref().unwrap_or(path);
    path.as_os_str().as_bytes().iter().copied().filter(|byte| *byte != b'\n').collect()
}
