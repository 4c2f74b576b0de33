//! Seeded damage to files, as disks and editors do it.

use crate::generate::Random;

/// What may happen to any file.
pub(crate) fn damage(text: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(text.len() + 1);
    match random.below(9) {
        0 => text.truncate(at),
        1 => text.insert(at, 0),
        2 => text.insert(at, 0xff),
        3 => text.insert(at, b"{}\"\\#!$~@(),\n\r\t "[random.below(16)]),
        4 if at < text.len() => text[at] = random.next() as u8,
        5 if at < text.len() => drop(text.remove(at)),
        6 => {
            let end = (at + random.below(60)).min(text.len());
            let piece = text[at..end].to_vec();
            let place = random.below(text.len() + 1);
            text.splice(place..place, piece);
        }
        7 => {
            let end = (at + random.below(60)).min(text.len());
            text.drain(at..end);
        }
        _ => {
            let piece = PIECES[random.below(PIECES.len())].as_bytes();
            text.splice(at..at, piece.iter().copied());
        }
    }
}

/// Pieces of the language in places that nobody meant.
const PIECES: &[&str] = &[
    "~SEQ(A, 1, 9) ",
    "~SEQ(A, 9, 1, 9) ",
    "~LST(A, 1, 2, 3) ",
    "~SEQ(A,1,3) ~SEQ(B,1,3) ",
    "$A=${A}\n",
    "$A=${B}\n$B=${A}\n",
    "${A}",
    "$A=x\\\n y\\\n z\n",
    "$A",
    "@id ",
    "@^id ",
    "include *\n",
    "include ../*/\n",
    "includea {a,b{c,d}}\n",
    "${_RANDOM 1 9}",
    "${_ENV HOME}",
    "${_PWD}",
    "\\\n",
    "\"",
    "{",
    "}",
    "\u{feff}",
];
