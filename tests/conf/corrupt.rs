//! Seeded damage to the bytes of a file, as disks, editors and generators do it.

use crate::generate::Random;

/// What may happen to any file.
pub(crate) fn damage(text: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(text.len() + 1);
    let find = |text: &[u8], wanted: &dyn Fn(u8) -> bool| {
        (at..text.len()).chain(0..at).find(|place| wanted(text[*place]))
    };
    match random.below(13) {
        0 => text.truncate(at),
        1 => text.insert(at, [0, 0xff, 0xc3, 0x1b, b'\r', b'\n'][random.below(6)]),
        2 => text.insert(at, b"{}\"'\\#!$~@(),\n\r\t "[random.below(17)]),
        3 if at < text.len() => text[at] = random.next() as u8,
        4 if at < text.len() => drop(text.remove(at)),
        5 => {
            if let Some(brace) = find(text, &|byte| matches!(byte, b'{' | b'}')) {
                text.remove(brace);
            }
        }
        6 => {
            if let Some(digit) = find(text, &|byte| byte.is_ascii_digit()) {
                text[digit] = b"x-.:/e \t"[random.below(8)];
            }
        }
        7 => {
            let end = (at + random.below(60)).min(text.len());
            let piece = text[at..end].to_vec();
            let place = random.below(text.len() + 1);
            text.splice(place..place, piece);
        }
        8 => {
            let end = (at + random.below(60)).min(text.len());
            text.drain(at..end);
        }
        9 => swap_words(text, random),
        10 => {
            let long = vec![b"x{ \""[random.below(4)]; 1000 + random.below(100)];
            text.splice(at..at, long);
        }
        _ => {
            let piece = PIECES[random.below(PIECES.len())].as_bytes();
            text.splice(at..at, piece.iter().copied());
        }
    }
}

/// Two words change places, and each comes to stand on a line of its own.
fn swap_words(text: &mut Vec<u8>, random: &mut Random) {
    let mut words: Vec<Vec<u8>> = text
        .split(|byte| byte.is_ascii_whitespace())
        .filter(|word| !word.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    if words.len() > 1 {
        let (one, other) = (random.below(words.len()), random.below(words.len()));
        words.swap(one, other);
        *text = words.join(&b"\n"[..]);
    }
}

/// Pieces of the language in places that nobody meant.
const PIECES: &[&str] = &[
    "~SEQ(A, 1, 9) ",
    "~SEQ (A, 9, 1, 9) ",
    "~SEQ(",
    "~LST(A, 1, 2, 3) ",
    "~SEQ(A,1,3) ~SEQ(B,1,3) ",
    "\n~SEQ(N, 1, 300) ~LST({A, B}, {1, 2}, {$N}) ",
    "\n$N=~SEQ(N, 1, 3) $N\n",
    "$A=${A}\n",
    "$A=${B}\n$B=${A}\n",
    "\n$A=${B}$A\n$B=$A x\n",
    "${A}",
    "${A",
    "$A=x\\\n y\\\n z\n",
    "$A=b \\\n",
    "\n$A= \\\n $A=x \\\n $A \\\n y\n$A\n",
    "\n$VIP= \\\n $SERVER \\\n",
    "$A",
    "$A ",
    "@id ",
    "@^id ",
    "$IF=@^x\n$IF ",
    "include\n",
    "include *\n",
    "include y\n",
    "include ../*/\n",
    "includea {a,b{c,d}}\n",
    "include {tests,src,}/{*,a}/*.conf\n",
    "include tests/conf/corpus/inc/*.conf\n",
    "include tests/conf/corpus/v15-grammar.conf\n",
    "\ninclude_check\n",
    "\nglobal_defs\n{ random_seed 7\n",
    "${_RANDOM 1 9}",
    "${_ENV HOME}",
    "${_PWD}",
    "${_HASH}",
    "\\\n",
    "\"",
    "{",
    "}",
    "\u{feff}",
];
