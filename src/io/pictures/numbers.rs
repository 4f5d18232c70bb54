//! Numbers in the names of pictures, with their signs.

/// A number in a name, with what stands around it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Number {
    /// The letters between the number before and this one, without its sign.
    pub(super) before: String,
    pub(super) value: f64,
    pub(super) has_sign: bool,
    pub(super) has_decimals: bool,
    /// Whether a p stands for the point, as in `12p5`.
    pub(super) has_p: bool,
    /// Whether it is one of several numbers with dots between, as in a time or a version.
    pub(super) is_dotted: bool,
    /// The letters directly behind it.
    pub(super) behind: String,
}

/// Which minus is the sign of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signs {
    /// One that stands apart from letters and digits: `tomo_-60`.
    Apart,
    /// Also one behind a letter: `tomo-60`, where other names have none.
    BehindLetters,
    /// The letters m, n (minus) and p (plus) and the words for them that stand alone: `tomo_m60`, `tomo_minus60`.
    Letters,
}

/// The numbers of a name.
pub(super) fn numbers(stem: &str, signs: Signs) -> Vec<Number> {
    let bytes = stem.as_bytes();
    let (mut found, mut at, mut text_from) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        let digits = |from: usize| bytes[from..].iter().take_while(|c| c.is_ascii_digit()).count();
        at += digits(at);
        let point = bytes.get(at).filter(|_| bytes.get(at + 1).is_some_and(u8::is_ascii_digit)).copied();
        let (has_decimals, has_p) = (point.is_some_and(is_point), point == Some(b'p'));
        if has_decimals || has_p {
            at += 1 + digits(at + 1);
        }
        let sign = sign_before(stem, start, text_from, signs);
        let text = stem.get(start..at).unwrap_or_default().replace([',', 'p'], ".");
        let size: f64 = text.parse().unwrap_or(f64::NAN);
        let n_sign = sign.map_or(0, |(_, n)| n);
        let before = stem.get(text_from..start - n_sign).unwrap_or_default().to_lowercase();
        let dot_before = start > 1 && is_point(bytes[start - 1]) && bytes[start - 2].is_ascii_digit();
        let dot_behind =
            bytes.get(at).copied().is_some_and(is_point) && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        let behind = stem.get(at..).unwrap_or_default().trim_start_matches([' ', '_']);
        let behind: String = behind.chars().take_while(|c| c.is_alphabetic() || *c == '°').collect();
        found.push(Number {
            before,
            value: if sign.is_some_and(|(is_minus, _)| is_minus) { -size } else { size },
            has_sign: sign.is_some(),
            has_decimals,
            has_p,
            is_dotted: dot_before || dot_behind,
            behind: behind.to_lowercase(),
        });
        text_from = at;
    }
    found
}

fn is_point(byte: u8) -> bool {
    matches!(byte, b'.' | b',')
}

/// Words for signs, whether they mean minus.
const SIGN_WORDS: [(&str, bool); 9] = [
    ("minus", true),
    ("negative", true),
    ("neg", true),
    ("m", true),
    ("n", true),
    ("plus", false),
    ("positive", false),
    ("pos", false),
    ("p", false),
];

/// Whether a sign stands before the number at `start`, `true` for minus, and how many bytes it has.
fn sign_before(stem: &str, start: usize, text_from: usize, signs: Signs) -> Option<(bool, usize)> {
    let bytes = stem.as_bytes();
    let place = start.checked_sub(1).filter(|place| *place >= text_from)?;
    let is_apart = |place: usize| {
        place == text_from && text_from == 0 || place > text_from && !bytes[place - 1].is_ascii_alphanumeric()
    };
    match (bytes[place], signs) {
        (b'+', _) => return Some((false, 1)),
        (b'-', Signs::BehindLetters) if is_apart(place) || place > text_from => return Some((true, 1)),
        (b'-', Signs::Apart | Signs::Letters) if is_apart(place) => return Some((true, 1)),
        _ if signs != Signs::Letters => return None,
        _ => {}
    }
    let text = stem.get(text_from..start)?.to_ascii_lowercase();
    SIGN_WORDS.iter().find_map(|(word, is_minus)| {
        // Only a whole word may stand apart from its number.
        let near = if word.len() > 1 { text.trim_end_matches(['_', ' ']) } else { &text };
        let from = text_from + near.strip_suffix(word)?.len();
        is_apart(from).then_some((*is_minus, start - from))
    })
}
