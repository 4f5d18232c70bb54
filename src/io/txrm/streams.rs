//! What the untyped streams of a TXRM hold: numbers, texts, and one value an image in either encoding.
//!
//! All numbers are little-endian; nothing in the file says what a stream holds. Values of images come contiguous, or one
//! every 40 bytes, sometimes side by side in one file. Figures: files of XMController read byte by byte.

use super::ole::Ole;

/// Largest stream that is read for anything but pixels.
const MOST_BYTES: usize = 16 << 20;
/// Floats from one value to the next where they are spaced.
const STRIDE: usize = 10;

/// How many images there are, and for how many arrays may be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    /// Images in the file.
    pub(super) there: usize,
    /// Images that were planned.
    pub(super) planned: usize,
}

/// All of a small stream; `None` where it is not there or cannot be read.
pub(super) fn bytes(ole: &mut Ole, path: &str) -> Option<Vec<u8>> {
    ole.read(path, MOST_BYTES).ok().flatten()
}

fn first_word(ole: &mut Ole, path: &str) -> Option<[u8; 4]> {
    bytes(ole, path)?.get(..4)?.try_into().ok()
}

/// The first whole number of a stream.
pub(super) fn int(ole: &mut Ole, path: &str) -> Option<i32> {
    first_word(ole, path).map(i32::from_le_bytes)
}

/// The first number of a stream, finite.
pub(super) fn float(ole: &mut Ole, path: &str) -> Option<f64> {
    first_word(ole, path).map(f32::from_le_bytes).filter(|v| v.is_finite()).map(f64::from)
}

/// A count or a side, above 0.
pub(super) fn count(ole: &mut Ole, path: &str) -> Option<usize> {
    int(ole, path).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0)
}

/// The text of a stream up to its first NUL; `None` where it is empty.
pub(super) fn text(ole: &mut Ole, path: &str) -> Option<String> {
    bytes(ole, path).map(|raw| latin(&raw)).filter(|text| !text.is_empty())
}

/// Latin-1 up to the first NUL, without what does not print.
pub(super) fn latin(raw: &[u8]) -> String {
    let text: String = raw.iter().take_while(|b| **b != 0).map(|b| char::from(*b)).collect();
    text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}

/// All floats of a stream.
pub(super) fn floats(raw: &[u8]) -> Vec<f32> {
    raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// One value for each image that is there; empty where there is no such stream, fewer where it is too short.
pub(super) fn per_image(ole: &mut Ole, path: &str, counts: Counts) -> Vec<f64> {
    let Some(raw) = bytes(ole, path) else { return Vec::new() };
    of_images(&floats(&raw), counts).into_iter().map(f64::from).collect()
}

/// The values of the images in an array of either encoding; a single value holds for all.
pub(super) fn of_images(values: &[f32], Counts { there, planned }: Counts) -> Vec<f32> {
    let n = values.len();
    if n == 1 {
        return vec![values[0]; there];
    }
    if n != there && n != planned && n % STRIDE == 1 && is_spaced(values, there) {
        return values.iter().copied().step_by(STRIDE).take(there).collect();
    }
    values[..n.min(there)].to_vec()
}

/// Whether an array whose length is that of spaced values for enough images holds them spaced. Where the spaces are
/// filled and nothing stands at the places beyond, it is contiguous and padded.
fn is_spaced(values: &[f32], there: usize) -> bool {
    if values.len().div_ceil(STRIDE) < there {
        return false;
    }
    let stands = |i: &usize| values[*i] != 0.0;
    let beyond = (0..values.len()).step_by(STRIDE).skip_while(|i| *i < there).any(|i| stands(&i));
    let between = (1..there.min(values.len())).filter(|i| i % STRIDE != 0).any(|i| stands(&i));
    beyond || !between
}

/// Numbers as text: one where all are the same.
pub(super) fn listed(values: &[f64]) -> String {
    // The file's numbers are f32, whose shortest text is what was meant.
    #[expect(clippy::cast_possible_truncation, reason = "they were f32")]
    let shown = |v: &f64| (*v as f32).to_string();
    match values.first() {
        Some(first) if values.iter().all(|v| v == first) => shown(first),
        _ => values.iter().map(shown).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spaced(values: &[f32]) -> Vec<f32> {
        let mut array = vec![0.0; STRIDE * (values.len() - 1) + 1];
        values.iter().enumerate().for_each(|(i, v)| array[STRIDE * i] = *v);
        array
    }

    #[test]
    fn both_encodings_and_padding_are_told_apart() {
        let values: Vec<f32> = (0..25).map(|i| 500.0 + i as f32).collect();
        let n = Counts { there: 25, planned: 25 };
        assert_eq!(of_images(&values, n), values);
        assert_eq!(of_images(&spaced(&values), n), values);
        // Both fills in one array, as XrayMagnification has them.
        let mut both = spaced(&values);
        (1..25).filter(|i| i % STRIDE != 0).for_each(|i| both[i] = 7.0);
        assert_eq!(of_images(&both, n), values);
        // Contiguous in an array of the length of spaced values, the rest 0.
        let mut padded = vec![0.0; spaced(&values).len()];
        padded[..25].copy_from_slice(&values);
        assert_eq!(of_images(&padded, n), values);
        let mut longer = values.clone();
        longer.resize(40, 0.0);
        assert_eq!(of_images(&longer, n), values);
        assert_eq!(of_images(&[9.0], n), vec![9.0; 25]);
        assert_eq!(of_images(&values[..7], n), values[..7]);
    }

    #[test]
    fn arrays_made_for_the_plan_give_the_values_of_the_images_taken() {
        // 131 is the length of spaced values for 14 images, too.
        let values: Vec<f32> = (0..131).map(|i| i as f32 - 65.0).collect();
        let taken = Counts { there: 12, planned: 131 };
        assert_eq!(of_images(&values, taken), values[..12]);
        assert_eq!(of_images(&spaced(&values), taken), values[..12]);
        assert_eq!(of_images(&spaced(&values[..12]), taken), values[..12]);
        assert_eq!(of_images(&[], taken), Vec::<f32>::new());
    }

    #[test]
    fn text_ends_at_the_first_nul_and_micro_is_read() {
        assert_eq!(latin(b"\xb5m\0garbage"), "µm");
        assert_eq!(latin(b"  Sample X \x01\0"), "Sample X");
        assert_eq!(listed(&[f64::from(0.1_f32), f64::from(0.25_f32)]), "0.1 0.25");
        assert_eq!(listed(&[5.0, 5.0]), "5");
    }
}
