//! The names that `{a,b}` in the name of an include stands for.

use super::include::BadPattern;

/// Names that braces may stand for.
const ALTERNATIVES_MAX: usize = 10_000;

/// Every name that `{a,b}` stands for, first alternatives first. Braces may nest; `{}` and a brace
/// without partner are ordinary.
pub(super) fn alternatives(pattern: &[u8], names: &mut Vec<Vec<u8>>) -> Result<(), BadPattern> {
    // A work list instead of recursion: the pattern's author decides how deep it goes.
    let mut open = vec![(pattern.to_vec(), 0)];
    while let Some((name, from)) = open.pop() {
        let Some((start, end, commas)) = braces(&name, from) else {
            names.push(name);
            if names.len() > ALTERNATIVES_MAX {
                return Err(format!("more than {ALTERNATIVES_MAX} alternatives in one include"));
            }
            continue;
        };
        let mut edges = vec![start];
        edges.extend(commas);
        edges.push(end);
        if open.len() + edges.len() > ALTERNATIVES_MAX {
            return Err(format!("more than {ALTERNATIVES_MAX} alternatives in one include"));
        }
        for pair in edges.windows(2).rev() {
            let mut one = name[..start].to_vec();
            one.extend_from_slice(&name[pair[0] + 1..pair[1]]);
            one.extend_from_slice(&name[end + 1..]);
            open.push((one, start));
        }
    }
    Ok(())
}

/// The first pair of braces at or behind `from`, and the commas that separate its alternatives.
fn braces(name: &[u8], from: usize) -> Option<(usize, usize, Vec<usize>)> {
    let mut pos = from;
    while pos < name.len() {
        match name[pos] {
            b'\\' => pos += 1,
            b'{' if name.get(pos + 1) == Some(&b'}') => pos += 1,
            b'{' => {
                if let Some((end, commas)) = closed(name, pos) {
                    return Some((pos, end, commas));
                }
            }
            _ => {}
        }
        pos += 1;
    }
    None
}

/// The `}` of the `{` at `start`, and the commas between them.
fn closed(name: &[u8], start: usize) -> Option<(usize, Vec<usize>)> {
    let (mut depth, mut commas) = (0, Vec::new());
    let mut pos = start;
    while pos < name.len() {
        match name[pos] {
            b'\\' => pos += 1,
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 1 => commas.push(pos),
            _ => {}
        }
        if depth == 0 {
            return Some((pos, commas));
        }
        pos += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_nest() {
        for (pattern, expected) in [
            ("a", "a"),
            ("{a,b}", "a b"),
            ("x{a,b}y{c,d}", "xayc xayd xbyc xbyd"),
            ("{a,b{c,d}}e", "ae bce bde"),
            ("{a,}b", "ab b"),
            ("{a}", "a"),
            ("a{}b", "a{}b"),
            ("{a,b", "{a,b"),
            ("a}", "a}"),
            ("\\{a,b}", "\\{a,b}"),
        ] {
            let mut names = Vec::new();
            alternatives(pattern.as_bytes(), &mut names).expect("few");
            let names: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name)).collect();
            assert_eq!(names.join(" "), expected, "{pattern}");
        }
        for many in ["{a,b}".repeat(100), "{".repeat(500), "{a,".repeat(300)] {
            // Whatever comes of it, it comes soon.
            let _ = alternatives(many.as_bytes(), &mut Vec::new());
        }
    }
}
