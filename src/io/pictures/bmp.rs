//! BMP pictures with a palette: the numbers of their colours as they are stored.

/// The numbers of a picture with a palette, row 0 at the top.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Indexed {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) values: Vec<u8>,
    pub(super) n_colours: usize,
    /// Whether every colour is the grey of its number, so that the numbers are values.
    pub(super) is_grey: bool,
}

/// What the head of a file says.
struct Head {
    /// Where palette and values begin.
    palette: usize,
    data: usize,
    cols: usize,
    rows: usize,
    is_top_down: bool,
    bits: usize,
    compression: u32,
    /// Bytes of a colour of the palette.
    entry: usize,
    n_colours: usize,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn short(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}

impl Head {
    fn of(bytes: &[u8]) -> Option<Self> {
        let size = |n: u32| usize::try_from(n).ok();
        let (data, head) = (size(word(bytes, 10)?)?, size(word(bytes, 14)?)?);
        if head == 12 {
            let bits = short(bytes, 24)?;
            return Some(Self {
                palette: 26,
                data,
                cols: short(bytes, 18)?,
                rows: short(bytes, 20)?,
                is_top_down: false,
                bits,
                compression: 0,
                entry: 3,
                n_colours: 1 << bits.min(8),
            });
        }
        let rows = word(bytes, 22)?.cast_signed();
        let bits = short(bytes, 28)?;
        let said = size(word(bytes, 46)?)?;
        Some(Self {
            palette: 14 + head,
            data,
            cols: size(word(bytes, 18)?)?,
            rows: size(rows.unsigned_abs())?,
            is_top_down: rows < 0,
            bits,
            compression: word(bytes, 30)?,
            entry: 4,
            n_colours: if said == 0 { 1 << bits.min(8) } else { said.min(256) },
        })
    }
}

/// Bits of a pixel, as the head of a file says.
pub(super) fn bits(bytes: &[u8]) -> Option<usize> {
    Head::of(bytes).map(|head| head.bits)
}

/// The picture in a file, where it has a palette and is not packed.
pub(super) fn indexed(bytes: &[u8]) -> Result<Option<Indexed>, String> {
    let cut = || "a BMP that is cut short; copy it again".to_owned();
    let head = Head::of(bytes).ok_or_else(cut)?;
    if !matches!(head.bits, 1 | 2 | 4 | 8) || head.compression != 0 {
        return Ok(None);
    }
    let (rows, cols) = (head.rows, head.cols);
    let stride = cols.checked_mul(head.bits).map(|n| n.div_ceil(32) * 4).ok_or_else(cut)?;
    let end = stride.checked_mul(rows).and_then(|n| n.checked_add(head.data)).ok_or_else(cut)?;
    let data = bytes.get(head.data..end).ok_or_else(cut)?;
    let (per_byte, mask) = (8 / head.bits, u8::MAX >> (8 - head.bits));
    let mut values = Vec::with_capacity(rows.saturating_mul(cols).min(bytes.len() * 8));
    for row in 0..rows {
        let stored = if head.is_top_down { row } else { rows - 1 - row };
        let line = data.get(stored * stride..).unwrap_or_default();
        let value = |x: usize| line[x / per_byte] >> (8 - head.bits * (x % per_byte + 1)) & mask;
        values.extend((0..cols).map(value));
    }
    let palette = bytes.get(head.palette..).unwrap_or_default();
    let colours = palette.chunks_exact(head.entry).take(head.n_colours);
    let is_grey =
        colours.enumerate().all(|(i, colour)| colour[..3].iter().all(|part| usize::from(*part) == i));
    Ok(Some(Indexed { rows, cols, values, n_colours: head.n_colours, is_grey }))
}
